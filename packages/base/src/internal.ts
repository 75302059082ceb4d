/**
 * What RingLedger's own packages use of files, beside what is published. A door of its own, because
 * the published one is for programs that bring their own disk, as consensus/core is.
 */
export {
  isNoSpace,
  onDisk,
  onSync,
  readFully,
  replaceFile,
  syncDirectory,
  writeFully,
  writeSynced,
} from './file-io.ts'
