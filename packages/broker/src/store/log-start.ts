/** Where the log begins for the broker thread, once it was dropped and begun anew elsewhere. */

/** In place of a position, while the log is being begun anew: nothing may be read. */
export const LOG_RESETTING = -1
