import { z } from 'zod'
import type { SharedCode } from '../core/codes.ts'
import { addressesHere } from '../core/interfaces.ts'
import { defineProbe, ProbeFailure, type ProbeContext } from '../core/probe.ts'
import { dialGauges } from './lib/dial.ts'
import { checkKube, KUBE_CODES, kubeApi, kubeFields, loadKube, releaseKube, type KubeApi, type KubeCode } from './lib/kube.ts'
import { ADDRESSES, compareAddresses, type Remembered } from './lib/kube-node-addresses.ts'
import { findingOf, KUBE_NODE_CODES, type KubeNodeCode } from './lib/kube-node-codes.ts'
import { nodeFacts, nodeTarget, type NodeFacts } from './lib/kube-node-facts.ts'
import { askKubelet, kubeletPhases, names, type Kubelet } from './lib/kube-node-kubelet.ts'
import { tlsGauges } from './lib/tls.ts'
import { queryOptions } from './lib/url-query.ts'

/** Of the time that is left once the API has answered the kubelet may take this share: a silent one must leave time to say what the API knows. */
const KUBELET_SHARE = 0.6

const options = z.strictObject({
  target: nodeTarget(),
  ...kubeFields,
  kubelet: z.boolean().default(true).describe('ask the kubelet too, at the node\'s InternalIP; needs the right get nodes/healthz, and a certificate of the kubelet that verifies. Without them that it answers counts, but not its health'),
  verify_kubelet: z.boolean().default(false).describe('the kubelet\'s certificate must be valid, of the cluster\'s authority and for the node\'s address; most kubelets sign their own'),
  token_to_unverified: z.boolean().default(false).describe('show Curlew\'s token to a kubelet whose certificate does not verify, too: whoever answers at the node\'s address can use it then'),
  local: z.boolean().default(false).describe('Curlew runs on this very node, in the host\'s network: its InternalIP must be an address of an interface here. Its address is all that is judged: a probe that is not local says whether the node is ready'),
}).superRefine(checkKube)

type Options = z.output<typeof options>

const phases = { api: 'prober', ...kubeletPhases, address: 'prober' } as const

const gauges = {
  ...dialGauges,
  ...tlsGauges,
  probe_kube_node_ready: 'Whether the API says that the node is ready: 1 or 0; absent while it does not know (Unknown).',
  probe_kube_node_condition: { help: 'Whether the node has a condition that is bad to have; absent where nobody knows.', labels: ['condition'], series: 4 },
  probe_kube_node_unschedulable: 'Whether it is cordoned, as a drained node is: then no run fails for it.',
  probe_kube_node_kubelet_answers: 'Whether its kubelet answered this Curlew, even if only to refuse it; absent where it was not asked.',
  probe_kube_node_kubelet_allowed: 'Whether the kubelet lets Curlew ask for its health: 0 lacks the right get nodes/healthz; absent where it was not shown the token, since its certificate does not verify.',
  probe_kube_node_kubelet_cert_expiry_timestamp_seconds: 'Expiry of the kubelet\'s certificate, as a Unix time. The probe_ssl_ gauges are there only where the cluster\'s authority has issued it: one that a kubelet has signed itself is never renewed and never verified.',
  probe_kube_node_kubelet_cert_names_address: 'Whether the kubelet\'s certificate is for the node\'s address.',
  probe_kube_node_address_stored: 'Whether the node\'s address is kept in the ConfigMap curlew-node-addresses; 0: only in this process, until it ends.',
}

type Context = ProbeContext<keyof typeof phases, keyof typeof gauges, KubeNodeCode | KubeCode | SharedCode>

/** Where a node was, by the options of its job: what is reloaded unchanged is remembered. */
const memory = new WeakMap<Options, Remembered>()

export const kubeNode = defineProbe({
  type: 'kube-node',
  summary: 'A node of Kubernetes: what the API says of it, whether its kubelet answers, and whether its address is as it was',
  options,
  phases,
  gauges,
  codes: { ...KUBE_NODE_CODES, ...KUBE_CODES },
  schemes: ['kube-node'],
  fromUrl(url) {
    return { ...queryOptions(url), target: url.host.toLowerCase() }
  },
  example: { target: 'worker-1' },
  load: loadKube,
  release: releaseKube,

  async run(options, probe) {
    const { node } = options.target
    const api = await probe.phase('api', () => kubeApi(options, probe))
    const facts = await probe.phase('api', () => look(api, node, probe))
    // Another probe tells the rest of each node: a dead kubelet is one alert.
    if (!options.local) tell(facts, probe)
    const kubelet = await kubeletOf(options, facts, api, probe)
    if (facts.addresses.length > 0) await probe.phase('address', () => checkAddress(options, facts, kubelet, api, probe))
    const finding = findingOf(facts, kubelet)
    // Whoever has cordoned it knows; what runs there all the same has probes of its own.
    if (finding && !facts.unschedulable && !options.local) throw new ProbeFailure(finding.code, `node ${node}: ${finding.message}`)
  },
})

async function look(api: KubeApi, node: string, probe: Context): Promise<NodeFacts> {
  const raw = await api.find({ path: `/api/v1/nodes/${encodeURIComponent(node)}` })
  if (raw === undefined) return probe.fail('kube_node_missing', `the API knows no node ${node}`)
  const facts = nodeFacts(raw)
  if (!facts) return probe.fail('kube_protocol', `what the API sent for the node ${node} is none`)
  return facts
}

function tell(facts: NodeFacts, probe: Context): void {
  if (facts.ready.status !== 'Unknown') probe.gauge('probe_kube_node_ready', Number(facts.ready.status === 'True'))
  for (const [condition, { is }] of facts.conditions) probe.gauge('probe_kube_node_condition', Number(is), { condition })
  probe.gauge('probe_kube_node_unschedulable', Number(facts.unschedulable))
}

async function kubeletOf({ kubelet: asked, verify_kubelet: verify, token_to_unverified: tokenToUnverified }: Options, { addresses: [address], port }: NodeFacts, api: KubeApi, probe: Context): Promise<Kubelet | undefined> {
  if (!asked || address === undefined) return undefined
  const credentials = await probe.phase('api', () => api.credentials())
  const now = performance.now()
  const kubelet = await askKubelet(probe, { address, port, credentials, verify, tokenToUnverified, deadline: now + (probe.deadline - now) * KUBELET_SHARE })
  const { failure, denied, withheld, certificate } = kubelet
  probe.gauge('probe_kube_node_kubelet_answers', Number(failure === undefined))
  if (failure === undefined && !(denied && withheld)) probe.gauge('probe_kube_node_kubelet_allowed', Number(!denied))
  if (certificate) {
    probe.gauge('probe_kube_node_kubelet_cert_expiry_timestamp_seconds', certificate.validToDate.getTime() / 1000)
    probe.gauge('probe_kube_node_kubelet_cert_names_address', Number(names(certificate, [address])))
  }
  return kubelet
}

async function checkAddress(options: Options, { uid, addresses, unschedulable }: NodeFacts, kubelet: Kubelet | undefined, api: KubeApi, probe: Context): Promise<void> {
  const { local, target: { node } } = options
  const { remembered, changed } = await compareAddresses(api, {
    node, uid, addresses, owner: probe.lastingOwner,
    reissued: kubelet?.certificate !== undefined && names(kubelet.certificate, addresses),
    mayWrite: probe.mode === 'read-write',
  }, memory.get(options))
  memory.set(options, remembered)
  probe.gauge('probe_kube_node_address_stored', Number(remembered.stored))
  if (unschedulable) return
  const here = local ? addressesHere() : undefined
  const missing = here && addresses.filter((address) => !here.has(address))
  if (missing && missing.length > 0) probe.fail('kube_node_address_changed', `the API says that node ${node} is at ${missing.join(', ')}, which no interface of it has: its addresses are ${[...here].join(', ')}`)
  if (!changed) return
  const data = JSON.stringify({ data: Object.fromEntries(changed.keys.map((key) => [key, null])) })
  const accept = changed.keys.length === 0
    ? 'To accept the new address restart Curlew, which has nowhere to keep the old one'
    : `To accept the new address: kubectl -n ${changed.namespace} patch configmap ${ADDRESSES} --type merge -p '${data}'`
  probe.fail('kube_node_address_changed', `node ${node} was at ${changed.from.join(', ')} and is at ${addresses.join(', ')}. ${accept}`)
}
