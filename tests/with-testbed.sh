#!/usr/bin/env bash
# Runs a command with the testbed up, and takes down what it booted: when the command succeeds, fails or is interrupted.
# A testbed that ran before stays. With KUBECONFIG set to another cluster, that one is used and nothing is booted.
set -euo pipefail

testbed=$1; shift
own=${ETCD_TESTBED_DIR:-/var/lib/etcd-testbed}/pki/admin.kubeconfig
if [[ -n ${KUBECONFIG:-} && $KUBECONFIG != "$own" ]]; then
  exec "$@"
fi
unset KUBECONFIG

if ! "$testbed" status >/dev/null 2>&1; then
  trap '"$testbed" down' EXIT
  trap 'exit 130' INT TERM
  "$testbed" up --nodes "${NODES:-3}"
fi
"$@"
