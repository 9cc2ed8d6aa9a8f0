import { startKubeApi } from '../support/kube-api.ts'
import { kubeCases } from './cases.ts'

kubeCases(async () => {
  const api = await startKubeApi()
  return { kubeconfig: api.kubeconfig(), bookmarkSeconds: 1, compact: () => Promise.resolve(api.compact()), stop: () => api.stop() }
})
