/** The door of the consensus package. */
export * from './core/index.ts'
