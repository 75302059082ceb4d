/** The `ledger` command's parts that other programs may use. */
export {}
