// Flags of cilium-agent 1.19 (its own command reference) that are read past or to come: names for messages, no meaning.

/** Names without `--`. */
export const otherFlags: readonly string[] = `
agent-health-port agent-health-require-k8s-connectivity agent-labels agent-liveness-update-interval
agent-not-ready-taint-key alibabacloud-security-group-tags alibabacloud-security-groups
alibabacloud-vswitch-tags alibabacloud-vswitches allocator-list-timeout annotate-k8s-node api-rate-limit
auto-create-cilium-node-resource azure-interface-name bgp-router-id-allocation-ip-pool
bgp-router-id-allocation-mode bpf-auth-map-max bpf-conntrack-accounting bpf-ct-global-any-max
bpf-ct-global-tcp-max bpf-ct-timeout-regular-any bpf-ct-timeout-regular-tcp
bpf-ct-timeout-regular-tcp-fin bpf-ct-timeout-regular-tcp-syn bpf-ct-timeout-service-any
bpf-ct-timeout-service-tcp bpf-ct-timeout-service-tcp-grace bpf-distributed-lru bpf-events-drop-enabled
bpf-events-policy-verdict-enabled bpf-events-trace-enabled bpf-fragments-map-max
bpf-lb-algorithm-annotation bpf-lb-external-clusterip bpf-lb-maglev-hash-seed bpf-lb-map-max
bpf-lb-mode-annotation bpf-lb-rss-ipv4-src-cidr bpf-lb-rss-ipv6-src-cidr bpf-lb-source-range-all-types
bpf-map-dynamic-size-ratio bpf-nat-global-max bpf-neigh-global-max bpf-node-map-max bpf-policy-map-max
bpf-policy-map-pressure-metrics-threshold bpf-policy-stats-map-max bpf-root bpf-sock-rev-map-max
certificates-directory cgroup-root cluster-health-port cluster-id clustermesh-cache-ttl
clustermesh-config clustermesh-sync-timeout cni-chaining-mode cni-chaining-target cni-exclusive
cni-external-routing cni-log-file config config-dir connectivity-probe-frequency-ratio
container-ip-local-reserved-ports controller-group-metrics crd-wait-timeout
debug debug-verbose default-lb-service-ipam direct-routing-device direct-routing-skip-unreachable
disable-endpoint-crd disable-envoy-version-check disable-external-ip-mitigation
disable-iptables-feeder-rules dns-max-ips-per-restored-rule dns-policy-unload-on-shutdown
dnsproxy-concurrency-limit dnsproxy-concurrency-processing-grace-period dnsproxy-enable-transparent-mode
dnsproxy-socket-linger-timeout dynamic-lifecycle-config egress-gateway-policy-map-max
egress-gateway-reconciliation-trigger-interval egress-masquerade-interfaces
enable-active-connection-tracking enable-auto-protect-node-port-range enable-bbr-hostns-only
enable-bgp-control-plane enable-bgp-control-plane-status-report enable-bgp-legacy-origin-attribute
enable-cilium-api-server-access enable-cilium-endpoint-slice
enable-cilium-health-api-server-access enable-drift-checker enable-dynamic-config
enable-dynamic-lifecycle-manager enable-endpoint-lockdown-on-policy-overflow enable-envoy-config
enable-extended-ip-protocols enable-gateway-api enable-gops enable-health-check-loadbalancer-ip
enable-health-check-nodeport enable-hubble enable-hubble-open-metrics enable-identity-mark
enable-ingress-controller enable-ipip-termination enable-ipsec-key-watcher enable-ipv6-fragment-tracking
enable-ipv6-ndp enable-k8s enable-k8s-api-discovery enable-l2-announcements enable-l2-neigh-discovery
enable-l2-pod-announcements enable-lb-ipam enable-local-node-route enable-local-redirect-policy
enable-monitor enable-nat46x64-gateway enable-native-vpc enable-no-service-endpoints-routable
enable-node-ipam enable-node-selector-labels enable-pmtu-discovery enable-policy-secrets-sync
enable-route-mtu-for-cni-chaining enable-service-topology enable-standalone-dns-proxy enable-tracing
enable-unreachable-routes enable-vtep enable-well-known-identities enable-xdp-prefilter
enable-xt-socket-fallback enable-ztunnel encrypt-interface endpoint-bpf-prog-watchdog-interval
endpoint-policy-update-timeout endpoint-queue-size endpoint-regen-interval eni-delete-on-termination
eni-disable-prefix-delegation eni-exclude-interface-tags eni-first-interface-index
eni-security-group-tags eni-security-groups eni-subnet-ids eni-subnet-tags eni-use-primary-address
envoy-access-log-buffer-size envoy-base-id envoy-config-retry-interval envoy-config-timeout
envoy-default-log-level envoy-http-upstream-linger-timeout envoy-keep-cap-netbindservice envoy-log
envoy-policy-restore-timeout envoy-secrets-namespace exclude-local-address exclude-node-label-patterns
external-envoy-proxy fixed-identity-mapping force-device-detection gateway-api-secrets-namespace
gops-port health-check-icmp-failure-threshold hive-log-threshold hive-start-timeout hive-stop-timeout
http-idle-timeout http-max-grpc-timeout http-normalize-path http-request-timeout http-retry-count
http-retry-timeout http-stream-idle-timeout hubble-disable-tls hubble-drop-events
hubble-drop-events-extended hubble-drop-events-interval hubble-drop-events-rate-limit
hubble-drop-events-reasons hubble-dynamic-metrics-config-path hubble-event-buffer-capacity
hubble-event-queue-size hubble-export-aggregation-interval hubble-export-allowlist
hubble-export-denylist hubble-export-fieldaggregate hubble-export-fieldmask hubble-export-file-compress
hubble-export-file-max-backups hubble-export-file-max-size-mb hubble-export-file-path
hubble-flowlogs-config-path hubble-listen-address hubble-lost-event-send-interval hubble-metrics
hubble-metrics-server hubble-metrics-server-enable-tls hubble-metrics-server-tls-cert-file
hubble-metrics-server-tls-client-ca-files hubble-metrics-server-tls-key-file hubble-monitor-events
hubble-network-policy-correlation-enabled hubble-prefer-ipv6 hubble-redact-enabled
hubble-redact-http-headers-allow hubble-redact-http-headers-deny hubble-redact-http-urlquery
hubble-redact-http-userinfo hubble-skip-unknown-cgroup-ids hubble-socket-path hubble-tls-cert-file
hubble-tls-client-ca-files hubble-tls-key-file identity-allocation-mode
identity-allocation-sync-interval identity-allocation-timeout identity-change-grace-period
identity-management-mode identity-max-jitter identity-restore-grace-period ignore-flags-drift-checker
ingress-secrets-namespace install-uplink-routes-for-delegated-ipam ip-masq-agent-config-path
ip-tracing-option-type ipam ipam-cilium-node-update-rate ipam-default-ip-pool ipam-max-allocate
ipam-min-allocate ipam-multi-pool-pre-allocation ipam-pre-allocate ipam-static-ip-tags ipsec-key-file
iptables-lock-timeout iptables-random-fully ipv4-node ipv4-pod-subnets
ipv4-range ipv4-service-loopback-address ipv6-cluster-alloc-cidr ipv6-mcast-device ipv6-node
ipv6-pod-subnets ipv6-range ipv6-service-loopback-address ipv6-service-range k8s-api-server-urls
k8s-client-burst k8s-client-connection-keep-alive k8s-client-connection-timeout k8s-client-qps
k8s-heartbeat-timeout k8s-kubeconfig-path k8s-namespace k8s-require-ipv4-pod-cidr
k8s-require-ipv6-pod-cidr k8s-service-proxy-name keep-config kube-proxy-replacement-healthz-bind-address
kvstore kvstore-lease-ttl kvstore-max-consecutive-quorum-errors kvstore-opt
l2-announcements-lease-duration l2-announcements-renew-deadline l2-announcements-retry-period
l2-pod-announcements-interface-pattern label-prefix-file labels lb-state-file lib-dir local-router-ipv4
local-router-ipv6 log-driver log-opt log-system-load lrp-address-matcher-cidrs max-connected-clusters
mesh-auth-gc-interval mesh-auth-mutual-connect-timeout mesh-auth-mutual-listener-port
mesh-auth-queue-size mesh-auth-rotated-identities-queue-size mesh-auth-spiffe-trust-domain
mesh-auth-spire-admin-socket metrics metrics-sampling-interval monitor-aggregation-flags
monitor-aggregation-interval monitor-queue-size multicast-enabled nat-map-stats-entries
nat-map-stats-interval native-vpc-vni-annotation node-encryption-opt-out-labels node-labels
node-port-bind-protection node-port-range nodeport-addresses only-masquerade-default-pool
packetization-layer-pmtud-mode policy-accounting policy-cidr-match-mode policy-default-local-cluster
policy-queue-size policy-secrets-namespace policy-secrets-only-from-secrets-namespace pprof
pprof-address pprof-block-profile-rate pprof-mutex-profile-fraction pprof-port preallocate-bpf-maps
prepend-iptables-chains procfs prometheus-serve-addr proxy-admin-port proxy-cluster-max-connections
proxy-cluster-max-requests proxy-connect-timeout proxy-gid proxy-idle-timeout-seconds
proxy-initial-fetch-timeout proxy-max-active-downstream-connections proxy-max-concurrent-retries
proxy-max-connection-duration-seconds proxy-max-requests-per-connection proxy-portrange-max
proxy-portrange-min proxy-prometheus-port proxy-use-original-source-address
proxy-xff-num-trusted-hops-egress proxy-xff-num-trusted-hops-ingress read-cni-conf
restored-proxy-ports-age-limit route-metric service-no-backend-response shell-sock-path socket-path
standalone-dns-proxy-server-port state-dir static-cnp-path status-collector-failure-threshold
status-collector-interval status-collector-probe-check-timeout status-collector-stackdump-path
status-collector-warning-threshold tofqdns-dns-reject-response-code tofqdns-enable-dns-compression
tofqdns-pre-cache tofqdns-proxy-port tofqdns-proxy-response-max-delay trace-payloadlen
trace-payloadlen-overlay trace-sock tunnel-source-port-range underlay-protocol use-full-tls-context
vlan-bpf-bypass vtep-cidr vtep-endpoint vtep-mac vtep-mask vtep-sync-interval
wireguard-persistent-keepalive write-cni-conf-when-ready
`
  .trim()
  .split(/\s+/)
