// What the drivers of real network cards can do with XDP, by kernel version (major * 1000 + minor).
// Sources: the drivers' own history (ndo_bpf and ndo_xdp_xmit appear in these releases) and the table of iovisor/bcc
// docs/kernel-versions.md. A driver that is not listed has no native XDP.

/** Since when; undefined: never. */
export interface DriverSupport {
  /** XDP_SETUP_PROG in the driver. */
  readonly native: number | undefined
  /** ndo_xdp_xmit: the device may be the target of a native XDP_REDIRECT. */
  readonly redirectTarget: number | undefined
  /** XDP_SETUP_PROG_HW. */
  readonly offload: number | undefined
}

function since(native: number, redirectTarget?: number, offload?: number): DriverSupport {
  return { native, redirectTarget, offload }
}

const none: DriverSupport = { native: undefined, redirectTarget: undefined, offload: undefined }

const drivers: Readonly<Record<string, DriverSupport>> = {
  bnxt_en: since(4011, 5007),
  bonding: since(5015, 5015),
  dpaa2: since(5000, 5000),
  ena: since(5006, 5012),
  enetc: since(5013, 5013),
  fec: since(6002, 6002),
  gve: since(6004, 6004),
  hv_netvsc: since(5006, 5019),
  i40e: since(4013, 4017),
  ice: since(5005, 5005),
  igb: since(5010, 5010),
  igc: since(5013, 5014),
  ixgbe: since(4012, 4015),
  ixgbevf: since(4017),
  mana: since(5017, 6001),
  mlx4_en: since(4008),
  mlx5_core: since(4009, 4019),
  mvneta: since(5005, 5005),
  netdevsim: since(4016, undefined, 4016),
  nfp: since(4010, undefined, 4016),
  nicvf: since(4012),
  octeontx2: since(5016, 5016),
  qede: since(4010, 5011),
  r8169: none,
  sfc: since(5005, 5005),
  stmmac: since(5013, 5013),
  tsnep: since(6003, 6003),
  tun: since(4014, 4017),
  virtio_net: since(4010, 4017),
  vmxnet3: since(6006, 6006),
  e1000: none,
  e1000e: none,
}

/** The driver a phys device has when the scenario names none: it can do everything but offload. */
export const defaultDriver = 'mlx5_core'

/** What a driver can do; undefined when this kernel has no driver of that name. */
export function driverSupport(driver: string): DriverSupport | undefined {
  return drivers[driver]
}
