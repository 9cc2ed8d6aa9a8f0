/** The zone of a node: https://kubernetes.io/docs/reference/labels-annotations-taints/ */
export const ZONE_LABEL = 'topology.kubernetes.io/zone'
/** Whose endpoints an EndpointSlice has; same page. */
export const SERVICE_NAME_LABEL = 'kubernetes.io/service-name'
/** Where a pod finds the CA, the namespace and the token of its ServiceAccount: https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/ */
export const SERVICE_ACCOUNT_DIRECTORY = '/var/run/secrets/kubernetes.io/serviceaccount'
