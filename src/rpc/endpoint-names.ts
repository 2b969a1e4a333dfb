/** What endpoints are called in logs and in the ledger: by host, numbered where several have the same one. */
export function endpointNames(endpoints: readonly { readonly url: string }[]): readonly string[] {
  const hosts = new Map<string, number>()
  return endpoints.map(({ url }) => {
    const { host } = new URL(url)
    const same = (hosts.get(host) ?? 0) + 1
    hosts.set(host, same)
    return same === 1 ? host : `${host}#${same}`
  })
}
