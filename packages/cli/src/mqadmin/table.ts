/** Tables as every command of RingLedger prints them. */
export {
  type Cell,
  type Column,
  columns,
  formatCell,
  formatTable,
  shorten,
  type TableStyle,
  visible,
} from '@ringledger/base'
