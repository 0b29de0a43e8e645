// Observation points and reasons of trace events, with the numbers of the wire format. lib/notify.h, lib/trace.h

export const tracePoint = {
  UNKNOWN: -1,
  TO_LXC: 0,
  TO_PROXY: 1,
  TO_HOST: 2,
  TO_STACK: 3,
  TO_OVERLAY: 4,
  FROM_LXC: 5,
  FROM_PROXY: 6,
  FROM_HOST: 7,
  FROM_STACK: 8,
  FROM_OVERLAY: 9,
  FROM_NETWORK: 10,
  TO_NETWORK: 11,
  FROM_CRYPTO: 12,
  TO_CRYPTO: 13,
} as const

export type TracePoint = (typeof tracePoint)[keyof typeof tracePoint]

/** TRACE_REASON_*: the first four are the states of conntrack. */
export const traceReason = {
  POLICY: 0,
  CT_ESTABLISHED: 1,
  CT_REPLY: 2,
  CT_RELATED: 3,
  CT_REOPENED: 4,
  UNKNOWN: 5,
  SRV6_ENCAP: 6,
  SRV6_DECAP: 7,
  ENCRYPTED: 0x80,
} as const
