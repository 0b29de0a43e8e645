// What is read of a flow that was written as `hubble observe -o jsonpb` exports it: the fields that its tools look at.

/** One line of an export. */
export type HubbleLine = { readonly [name: string]: unknown }

/** Who sent, or was to get it. */
export interface HubbleEnd {
  readonly identity?: number
  readonly namespace?: string
  readonly pod_name?: string
}

/** A flow of an export; what is zero or empty is left out. */
export interface HubbleFlow {
  readonly time?: string
  readonly verdict?: string
  readonly ethernet?: { readonly source?: string; readonly destination?: string }
  readonly IP?: { readonly source: string; readonly destination: string; readonly ipVersion: string }
  readonly l4?: Readonly<
    Record<string, { readonly source_port?: number; readonly destination_port?: number }>
  >
  readonly source?: HubbleEnd
  readonly destination?: HubbleEnd
  readonly source_names?: readonly string[]
  readonly destination_names?: readonly string[]
  readonly l7?: {
    readonly type?: string
    readonly http?: object
    readonly dns?: { readonly observation_source?: string }
  }
  readonly event_type?: { readonly type?: number; readonly sub_type?: number }
  readonly policy_match_type?: number
  readonly traffic_direction?: string
  readonly is_reply?: boolean
  readonly auth_type?: string
  readonly drop_reason_desc?: string | number
  readonly Summary?: string
}
