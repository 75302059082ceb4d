/** The cluster table, exactly as `mqadmin clusterList` prints it. */
import { mqadminMain } from '../commands/mqadmin.ts'

/** Prints the table of the cluster that this name server knows. */
export async function printClusterTable(nameServer: string): Promise<void> {
  await mqadminMain(['clusterList', '-n', nameServer])
}
