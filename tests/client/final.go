package main

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// page is how many keys are read at once at the end.
const page = 1000

// Final reads every key through one member, trying until `deadline`. Each key counts as one more linearizable read.
func (l *Load) Final(ctx context.Context, worker int, address string, keys int, deadline time.Time) (map[int]Last, error) {
	client, err := connect([]string{address})
	if err != nil {
		return nil, err
	}
	defer func() { _ = client.Close() }()
	for {
		found, ops, err := l.readAll(ctx, client, worker, keys)
		if err == nil {
			for _, op := range ops {
				l.history.Note(op)
			}
			return found, nil
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("member at %s does not serve: %w", address, err)
		}
		pause(ctx, 100*time.Millisecond)
	}
}

func (l *Load) readAll(ctx context.Context, client *clientv3.Client, worker, keys int) (map[int]Last, []Op, error) {
	found := map[int]Last{}
	var ops []Op
	for first := 0; first < keys; first += page {
		past := min(first+page, keys)
		invoked := l.history.Now()
		limited, cancel := context.WithTimeout(ctx, 5*time.Second)
		answer, err := client.Get(limited, l.name(first), clientv3.WithRange(l.name(past)))
		cancel()
		if err != nil {
			return nil, nil, err
		}
		retired := l.history.Now()
		for _, kv := range answer.Kvs {
			found[l.keyOf(kv.Key)] = Last{Value: number(kv.Value), Revision: kv.ModRevision, Version: kv.Version}
		}
		for key := first; key < past; key++ {
			ops = append(ops, Op{
				Worker: worker, Kind: Get, Key: key, Read: found[key].Value, Revision: answer.Header.Revision,
				Cluster: answer.Header.ClusterId, Invoked: invoked, Retired: retired,
			})
		}
	}
	return found, ops, nil
}
