// Before npm run test:kubernetes: says which API server it will talk to, and unpacks etcd where it starts one itself.
import { accessSync, constants } from 'node:fs'
import { isUnpacked, SID_ETCD, unpack } from './debian-suite.ts'

const { KUBECONFIG: kubeconfig, KUBE_APISERVER: program } = process.env

if (kubeconfig) {
  console.log(`test:kubernetes: the cluster of ${kubeconfig}, which must be older than ten minutes: what it has compacted is asked for`)
} else if (program) {
  try {
    accessSync(program, constants.X_OK)
    if (!isUnpacked(SID_ETCD)) unpack(SID_ETCD)
    console.log(`test:kubernetes: ${program}, with etcd of Debian ${SID_ETCD.suite}`)
  } catch (error) {
    fail(`KUBE_APISERVER=${program} cannot be started with etcd: ${error instanceof Error ? error.message : String(error)}`)
  }
} else {
  fail('there is no API server: set KUBECONFIG to a cluster\'s kubeconfig, or KUBE_APISERVER to a kube-apiserver binary')
}

function fail(why: string): void {
  console.error(`test:kubernetes: ${why}`)
  process.exitCode = 1
}
