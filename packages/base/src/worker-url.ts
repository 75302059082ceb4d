/** Where a worker's entry lies, in the sources and in a built package alike. */

/**
 * URL of the entry `specifier` (`./io.worker.ts`, named as in the sources) beside the module whose
 * `import.meta.url` is `callerUrl`: a caller that was built to JavaScript has a built entry.
 */
export function workerUrl(specifier: string, callerUrl: string): URL {
  const built = callerUrl.endsWith('.js')
  return new URL(built ? specifier.replace(/\.ts$/, '.js') : specifier, callerUrl)
}
