import { realKubeApi } from '../support/kube-apiserver.ts'
import { kubeCases } from './cases.ts'

kubeCases(realKubeApi)
