#!/usr/bin/env bash
# Draws manifests/docs/dashboard.png: picture.html with the dashboard and what a Prometheus has answered, in headless Chromium.
#   picture.sh ANSWERS
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd) clone=$(cd "$(dirname "$0")/../.." && pwd) answers=$1
command -v chromium >/dev/null || { echo "picture: needs Debian's package chromium" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
awk -v dashboard="$clone/manifests/monitoring/dashboard.json" -v answers="$answers" '
  function whole(file,   line, text) { while ((getline line < file) > 0) text = text line "\n"; return text }
  /id="dashboard"/ { print "<script id=\"dashboard\" type=\"application/json\">" whole(dashboard) "</script>"; next }
  /id="answers"/ { print "<script id=\"answers\" type=\"application/json\">" whole(answers) "</script>"; next }
  { print }' "$here/picture.html" >"$work/page.html"
chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=1200,1265 --user-data-dir="$work/profile" \
  --screenshot="$clone/manifests/docs/dashboard.png" "file://$work/page.html" 2>/dev/null
ls -l "$clone/manifests/docs/dashboard.png"
