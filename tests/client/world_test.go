package main

import (
	"math/rand/v2"
	"time"
)

// world is an etcd that keeps its promises: what it does takes effect at one moment. Tests break its history afterwards.
type world struct {
	now      time.Duration
	revision int64
	value    int64
	values   map[int]int64
	versions map[int]int64
	changed  map[int]int64
	ops      []Op
	events   []Event
}

func newWorld() *world {
	return &world{revision: 1, values: map[int]int64{}, versions: map[int]int64{}, changed: map[int]int64{}}
}

// take lets an operation begin, take effect and be answered, each a moment later.
func (w *world) take(op Op) *Op {
	op.Cluster = 0xc
	op.Invoked = w.tick()
	w.apply(&op)
	op.Retired = w.tick()
	w.ops = append(w.ops, op)
	return &w.ops[len(w.ops)-1]
}

func (w *world) tick() time.Duration {
	w.now += time.Millisecond
	return w.now
}

func (w *world) apply(op *Op) {
	op.Swapped = op.Kind == Swap && w.values[op.Key] == op.Old
	if op.Kind == Put || op.Swapped {
		w.revision++
		w.values[op.Key] = op.Value
		w.versions[op.Key]++
		w.changed[op.Key] = w.revision
		w.events = append(w.events, Event{Key: op.Key, Value: op.Value, Revision: w.revision, Version: w.versions[op.Key]})
	} else {
		op.Read = w.values[op.Key]
	}
	op.Revision = w.revision
}

func (w *world) put(key int) *Op {
	w.value++
	return w.take(Op{Kind: Put, Key: key, Value: w.value})
}

func (w *world) swap(key int, old int64) *Op {
	w.value++
	return w.take(Op{Kind: Swap, Key: key, Value: w.value, Old: old})
}

func (w *world) get(key int) *Op { return w.take(Op{Kind: Get, Key: key}) }

// lost is a put of which nothing was heard; it may have been applied.
func (w *world) lost(key int, applied bool) *Op {
	w.value++
	op := Op{Kind: Put, Key: key, Value: w.value, Outcome: Unknown, Invoked: w.tick(), Error: "context deadline exceeded"}
	if applied {
		w.apply(&op)
		op.Revision = 0
	}
	op.Retired = w.tick()
	w.ops = append(w.ops, op)
	return &w.ops[len(w.ops)-1]
}

func (w *world) final() map[int]Last {
	all := map[int]Last{}
	for key, value := range w.values {
		all[key] = Last{Value: value, Revision: w.changed[key], Version: w.versions[key]}
	}
	return all
}

// evidence is what a client would have of it: two watchers, every key read through one member.
func (w *world) evidence() Evidence {
	return Evidence{Ops: w.ops, Watched: [][]Event{w.events, w.events}, Finals: []map[int]Last{w.final()}}
}

// busy is a long history of many workers that overlap, with answers that are never heard.
func busy(operations int) *world {
	w := newWorld()
	keys := &Keys{}
	for range operations {
		// Each takes effect at its own moment; overlapping in time comes from the stretched ends.
		op := w.some(keys)
		op.Invoked -= min(op.Invoked, time.Duration(rand.IntN(6))*time.Millisecond)
		op.Retired += time.Duration(rand.IntN(6)) * time.Millisecond
	}
	return w
}

func (w *world) some(keys *Keys) *Op {
	if rand.IntN(3) == 0 {
		return w.get(keys.Some())
	}
	key, _, known := keys.Begin()
	var op *Op
	switch rand.IntN(20) {
	case 0:
		op = w.lost(key, rand.IntN(2) == 0)
	case 1, 2, 3:
		op = w.swap(key, max(1, known))
	default:
		op = w.put(key)
	}
	keys.End(key, op.Outcome, op.Value)
	return op
}
