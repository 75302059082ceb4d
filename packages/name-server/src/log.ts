/** Where log lines go. The shape is pino's, so that its loggers fit as they are. */
export interface Log {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** Keeps quiet; for callers that want no log. */
export const silentLog: Log = { info: () => {}, warn: () => {}, error: () => {} }
