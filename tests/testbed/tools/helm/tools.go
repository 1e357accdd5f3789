//go:build tools

// Names Helm's program, so that go.mod and go.sum pin all that it is built from.
package tools

import _ "helm.sh/helm/v4/cmd/helm"
