/** A block as @subsquid/evm-processor gives it, as far as it is used here. */
export interface Block {
  readonly header: { readonly height: number; readonly hash: string; readonly timestamp: number }
  readonly logs: readonly {
    readonly logIndex: number
    readonly transactionHash: string
    readonly topics: readonly string[]
    readonly data: string
  }[]
}
