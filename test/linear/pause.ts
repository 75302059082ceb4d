/** The length of a fault, and of a client's thoughts. Nothing is waited for. */
export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(() => resolve(), milliseconds)
  })
}
