package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Watcher is told of every change, from the first revision to the last, through whichever member answers.
type Watcher struct {
	load *Load

	mu       sync.Mutex
	events   []Event
	last     int64
	troubles []string // what a watch must never say
}

// Watch follows the prefix from revision `from` until the context ends.
func (w *Watcher) Watch(ctx context.Context, from int64) {
	w.last = from - 1
	client, err := w.load.members.WatcherClient()
	if err != nil {
		w.trouble("connect: %v", err)
		return
	}
	defer func() { _ = client.Close() }()
	for ctx.Err() == nil {
		w.follow(ctx, client)
		// clientv3 resumes by itself where the connection is lost; it ends a watch when its member has no leader.
		pause(ctx, 20*time.Millisecond)
	}
}

func (w *Watcher) follow(ctx context.Context, client *clientv3.Client) {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	for answer := range client.Watch(ctx, w.load.prefix, clientv3.WithPrefix(), clientv3.WithRev(w.Last()+1)) {
		if answer.CompactRevision != 0 {
			w.trouble("revision %d was compacted, nobody asked for that", answer.CompactRevision)
			return
		}
		if answer.Err() != nil {
			return
		}
		w.note(answer.Events)
	}
}

func (w *Watcher) note(events []*clientv3.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, one := range events {
		key := w.load.keyOf(one.Kv.Key)
		if one.Type != clientv3.EventTypePut || key < 0 {
			w.troubles = append(w.troubles, fmt.Sprintf("%s %s at revision %d, which nobody did", one.Type, one.Kv.Key, one.Kv.ModRevision))
			continue
		}
		event := Event{Key: key, Value: number(one.Kv.Value), Revision: one.Kv.ModRevision, Version: one.Kv.Version}
		w.events = append(w.events, event)
		w.last = max(w.last, event.Revision)
	}
}

func (w *Watcher) trouble(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.troubles = append(w.troubles, fmt.Sprintf(format, args...))
}

// Last is the highest revision that it was told of.
func (w *Watcher) Last() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

// Seen returns what it was told, and what it should not have been.
func (w *Watcher) Seen() ([]Event, []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.events, w.troubles
}

func pause(ctx context.Context, during time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(during):
	}
}
