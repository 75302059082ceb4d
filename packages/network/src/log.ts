/** How this package tells the operator something: one line, through whoever started it. */
export type NetworkLog = (level: 'info' | 'warn' | 'error', line: string) => void

export const silentLog: NetworkLog = () => {}
