// CiliumIdentity of cilium.io/v2: the number that a set of labels has. The object's name is the number; agents take an
// identity that exists for the labels of a new endpoint, and allocate one only where there is none (cilium
// pkg/k8s/identitybackend/identity.go, pkg/k8s/apis/cilium.io/v2/types.go).
import { objectName } from './meta.ts'
import { anything, type Infer, map, object, string } from './schema.ts'

/** Numbers that are allocated for the whole cluster (pkg/identity: MinimalAllocatableIdentity, with cluster id 0 up to 65535). */
const firstNumber = 256
const lastNumber = 65_535

const numberName = string((text, wrong) => {
  const number = /^[1-9][0-9]*$/.test(text) ? Number(text) : 0
  if (number < firstNumber || number > lastNumber) {
    wrong(
      `\`${text}\` is no number of an identity`,
      `the name is the number: ${firstNumber} to ${lastNumber}`,
    )
  }
})

const sourced = (key: string, wrong: (message: string, hint?: string) => void): void => {
  if (!/^[a-z0-9-]+:./.test(key)) wrong(`\`${key}\` has no source`, `a label of a pod is \`k8s:${key}\``)
}

const metadata = object(
  { name: numberName },
  {
    namespace: objectName,
    labels: map(string()),
    annotations: map(string()),
    uid: string(),
    resourceVersion: anything,
    generation: anything,
    creationTimestamp: anything,
    managedFields: anything,
  },
)

/** kind: CiliumIdentity. Its `metadata.labels` are for people; only `security-labels` count. */
export const ciliumIdentity = object({ metadata, 'security-labels': map(string(), sourced) }, {})
export type CiliumIdentityManifest = Infer<typeof ciliumIdentity>
