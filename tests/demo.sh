#!/usr/bin/env bash
# The main job, as a user does it: install the operator, apply an example, wait until it is Ready, put and get a key.
set -euo pipefail

testbed=$1 images=$2
own=${ETCD_TESTBED_DIR:-/var/lib/etcd-testbed}/pki/admin.kubeconfig
cd "$(dirname "$0")/.."
began=$SECONDS
say() { printf '%4ds  %s\n' $((SECONDS - began)) "$*"; }

if [[ -z ${KUBECONFIG:-} || $KUBECONFIG == "$own" ]]; then
  unset KUBECONFIG
  "$testbed" up --nodes "${NODES:-3}"
  # shellcheck disable=SC1091  # written by the line above
  source .testbed/env
fi
"$testbed" load "$images/agent.tar" "$images/coordinator.tar"

say "installing the operator"
# A cluster of your own that gets images from a registry finds them under REGISTRY.
sed "s#etcd-operator/\(agent\|coordinator\):dev#${REGISTRY:-etcd-operator}/\1:dev#" manifests/install.yaml |
  kubectl apply --server-side --force-conflicts -f - >/dev/null
kubectl wait --for=condition=Established --timeout=60s crd/etcdclusters.etcd.etcd.io crd/etcdmembers.etcd.etcd.io >/dev/null
kubectl -n etcd-operator-system rollout status deployment/etcd-coordinator --timeout=120s >/dev/null

say "kubectl apply -f manifests/examples/three.yaml"
applied=$(date +%s.%N)
kubectl apply -f manifests/examples/three.yaml >/dev/null
shown=
until [[ $(kubectl get etcdcluster demo -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}') == True ]]; do
  now=$(kubectl get etcdcluster demo -o 'jsonpath={.status.phase}: {.status.conditions[?(@.type=="Ready")].message}')
  if [[ $now != "$shown" && $now != ": " ]]; then say "$now"; shown=$now; fi
  if ((SECONDS - began > 300)); then
    kubectl describe etcdcluster demo
    echo "demo is not Ready after five minutes; the conditions above say why" >&2
    exit 1
  fi
  sleep 0.1
done
took=$(awk -v a="$applied" -v b="$(date +%s.%N)" 'BEGIN { printf "%.1f", b - a }')

kubectl get etcdclusters,etcdmembers
kubectl exec demo-0 -- etcdctl put hello world >/dev/null
say "put through demo-0, get through demo-2: hello = $(kubectl exec demo-2 -- etcdctl get --print-value-only hello)"
cat <<'TXT'

Try next (source .testbed/env first, unless the cluster is your own):
  kubectl get etcdc,etcdm
  kubectl describe etcdc demo
  kubectl exec demo-0 -- etcdctl member list
  kubectl exec demo-0 -c agent -- etcd-agent status
  kubectl scale etcdc demo --replicas=5 && kubectl get etcdm -w
  kubectl delete pod demo-0 && kubectl get pods -w
  make down
TXT
echo "demo is Ready in $took s"
