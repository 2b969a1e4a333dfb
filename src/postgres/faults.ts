/** What kind of trouble an error of `pg` is, and what to say of it. */
export interface ServerFault {
  /** `lost`: the connection is gone or was never made. `busy`: the server takes no more connections now. `refused`: it does not want us. */
  readonly kind: 'lost' | 'busy' | 'refused'
  readonly problem: string
  readonly hint: string
}

const restart = 'run again when it is back: it goes on from here'
const FAULTS: Readonly<Record<string, ServerFault>> = {
  ECONNREFUSED: { kind: 'lost', problem: 'nothing listens there', hint: 'start the server, or check host and port' },
  ENOENT: { kind: 'lost', problem: 'there is no such socket', hint: 'start the server, or check host and port' },
  ENOTFOUND: { kind: 'lost', problem: 'the host is not known', hint: 'check the host name' },
  EAI_AGAIN: { kind: 'lost', problem: 'the host name could not be looked up', hint: 'check the network and the host name' },
  EHOSTUNREACH: { kind: 'lost', problem: 'the host can not be reached', hint: 'check the network' },
  ENETUNREACH: { kind: 'lost', problem: 'the network can not be reached', hint: 'check the network' },
  ETIMEDOUT: { kind: 'lost', problem: 'it does not answer', hint: 'check the network and the firewall' },
  ECONNRESET: { kind: 'lost', problem: 'the connection was cut', hint: restart },
  EPIPE: { kind: 'lost', problem: 'the connection was cut', hint: restart },
  '25P03': { kind: 'lost', problem: 'the server ended a transaction that did nothing for too long', hint: restart },
  '57P01': { kind: 'lost', problem: 'the server ended the connection', hint: restart },
  '57P02': { kind: 'lost', problem: 'the server crashed', hint: restart },
  '57P03': { kind: 'busy', problem: 'the server is starting up or shutting down', hint: restart },
  '53300': {
    kind: 'busy',
    problem: 'the server has no free connection',
    hint: 'close others, raise max_connections, or put a pool in session mode before it',
  },
  '25006': {
    kind: 'refused',
    problem: 'the server only reads: a standby, or default_transaction_read_only',
    hint: 'name the primary server',
  },
  '28P01': { kind: 'refused', problem: 'the login was refused', hint: 'check user and password' },
  '28000': { kind: 'refused', problem: 'the login was refused', hint: 'check user, password and pg_hba.conf' },
  '3D000': { kind: 'refused', problem: 'there is no such database', hint: 'create it, or check its name' },
  DEPTH_ZERO_SELF_SIGNED_CERT: certificate(),
  SELF_SIGNED_CERT_IN_CHAIN: certificate(),
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: certificate(),
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: certificate(),
  CERT_HAS_EXPIRED: certificate(),
  ERR_TLS_CERT_ALTNAME_INVALID: certificate(),
}

/** The trouble, or undefined for what is no trouble with the server or the way to it. */
export function serverFault(error: unknown): ServerFault | undefined {
  const code = codeOf(error)
  const known = FAULTS[code]
  if (known) return known
  if (/^08/.test(code)) return FAULTS.ECONNRESET
  const text = error instanceof Error ? error.message : String(error)
  if (/timeout expired/i.test(text)) return FAULTS.ETIMEDOUT
  // Node's and pg's own words where there is no code.
  if (/Connection terminated|not queryable|Client was closed|socket hang up/i.test(text)) return FAULTS.ECONNRESET
  if (/does not support SSL/i.test(text)) return { kind: 'refused', problem: 'the server speaks no TLS', hint: 'write sslmode=disable' }
  if (/password must be a string|SASL/i.test(text)) return FAULTS['28P01']
  return undefined
}

/** SQLSTATE or the code of a system error; empty when there is none. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

function certificate(): ServerFault {
  return {
    kind: 'refused',
    problem: 'its certificate is not trusted',
    hint: 'name its authority with sslrootcert=FILE, or write sslmode=no-verify',
  }
}
