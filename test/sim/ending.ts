/** How a process of the simulation ends before its time. */

/** Thrown by the disk to stop a process in the middle of a call. */
export class Stopped extends Error {}

export const Ending = {
  /** The process dies; the machine goes on. */
  kill: 'kill',
  /** The machine loses power. */
  power: 'power',
} as const
export type Ending = (typeof Ending)[keyof typeof Ending]
