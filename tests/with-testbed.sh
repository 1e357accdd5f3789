#!/usr/bin/env bash
# Runs a command with the testbed up, and takes down what it booted: when the command succeeds, fails or is interrupted.
# A testbed that ran before stays. With KUBECONFIG set to another cluster, that one is used and nothing is booted.
#
# An operator that is installed there (make demo) would act on the clusters of the tests beside the tests' own
# coordinators, so it stands still meanwhile; its clusters go on without it.
set -euo pipefail

testbed=$1; shift
own=${ETCD_TESTBED_DIR:-/var/lib/etcd-testbed}/pki/admin.kubeconfig
kubectl=(kubectl -n etcd-operator-system)
operator=deployment/etcd-coordinator
# How many it had, on itself: a run that was killed leaves it to the next one.
note=etcd-e2e/replicas
booted=

stand_still() {
  local replicas
  replicas=$("${kubectl[@]}" get "$operator" --ignore-not-found -o 'jsonpath={.spec.replicas}')
  [[ ${replicas:-0} != 0 ]] || return 0
  echo "the installed operator stands still until the tests have ended ($operator: $replicas replicas)"
  "${kubectl[@]}" annotate "$operator" --overwrite "$note=$replicas" >/dev/null
  "${kubectl[@]}" scale "$operator" --replicas=0 >/dev/null
  "${kubectl[@]}" wait pod -l app.kubernetes.io/component=coordinator --for=delete --timeout=60s >/dev/null
}

go_on() {
  local replicas
  replicas=$("${kubectl[@]}" get "$operator" --ignore-not-found -o "jsonpath={.metadata.annotations.$note}")
  [[ -n $replicas ]] || return 0
  "${kubectl[@]}" scale "$operator" --replicas="$replicas" >/dev/null
  "${kubectl[@]}" annotate "$operator" "$note-" >/dev/null
  "${kubectl[@]}" rollout status "$operator" --timeout=60s >/dev/null
  echo "the installed operator goes on ($operator: $replicas replicas)"
}

# shellcheck disable=SC2317  # called by the trap
finish() {
  trap '' INT TERM
  if [[ $booted ]]; then "$testbed" down; else go_on || echo "$operator may still be at 0 replicas" >&2; fi
}

if [[ -n ${KUBECONFIG:-} && $KUBECONFIG != "$own" ]]; then
  trap finish EXIT
  trap 'exit 130' INT TERM
  stand_still
else
  unset KUBECONFIG
  kubectl+=(--kubeconfig "$own")
  if "$testbed" status >/dev/null 2>&1; then
    trap finish EXIT
    trap 'exit 130' INT TERM
    stand_still
  else
    booted=1
    trap finish EXIT
    trap 'exit 130' INT TERM
    "$testbed" up --nodes "${NODES:-3}"
  fi
fi
"$@"
