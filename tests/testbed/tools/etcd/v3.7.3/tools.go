//go:build tools

// Names the programs of one etcd release, so that go.mod and go.sum pin all that they are built from.
package tools

import (
	_ "go.etcd.io/etcd/etcdctl/v3"
	_ "go.etcd.io/etcd/etcdutl/v3"
	_ "go.etcd.io/etcd/server/v3"
)
