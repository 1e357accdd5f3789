package main

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Kind is what an operation does.
type Kind uint8

const (
	// Put writes a value, whatever was there.
	Put Kind = iota
	// Swap is a transaction: it writes a value if another one is there, and reads what is there if not.
	Swap
	// Get is a linearizable read.
	Get
)

// Outcome is what the client knows of an operation when it is over.
type Outcome uint8

const (
	// Ok: etcd answered.
	Ok Outcome = iota
	// Failed: it surely did not happen, and never will.
	Failed
	// Unknown: it may have happened, or may happen yet.
	Unknown
)

// Op is one operation with all that is known of it. Every value is written once, and 0 stands for a key that is not there.
type Op struct {
	Worker           int
	Kind             Kind
	Key              int
	Value            int64 // what a Put or a Swap writes
	Old              int64 // what a Swap wants to find
	Read             int64 // what a Get, or a Swap that did not swap, found
	Swapped          bool
	Revision         int64 // of the store when etcd answered: a write's own
	Cluster          uint64
	Invoked, Retired time.Duration // since the history began
	Outcome          Outcome
	Error            string
}

// Writes says whether the operation was acknowledged as one that changed the store.
func (o *Op) Writes() bool {
	return o.Outcome == Ok && (o.Kind == Put || o.Kind == Swap && o.Swapped)
}

func (o *Op) String() string {
	var what string
	switch o.Kind {
	case Put:
		what = fmt.Sprintf("put %d", o.Value)
	case Swap:
		what = fmt.Sprintf("swap %d for %d", o.Old, o.Value)
		if o.Outcome == Ok && !o.Swapped {
			what += fmt.Sprintf(", found %d", o.Read)
		}
	case Get:
		what = fmt.Sprintf("get -> %d", o.Read)
	}
	how := fmt.Sprintf("ok at revision %d", o.Revision)
	switch o.Outcome {
	case Ok:
	case Failed:
		how = "failed: " + o.Error
	case Unknown:
		how = "unknown: " + o.Error
	}
	seconds := func(at time.Duration) string { return fmt.Sprintf("%.3f", at.Seconds()) }
	return fmt.Sprintf("key %d, worker %d, %s-%s s: %s, %s", o.Key, o.Worker, seconds(o.Invoked), seconds(o.Retired), what, how)
}

// Event is what a watcher was told of one change.
type Event struct {
	Key      int
	Value    int64
	Revision int64
	Version  int64 // how often the key was written since it was made
}

// Last is a key as it was read at the end, through one member.
type Last struct {
	Value    int64
	Revision int64
	Version  int64
}

// History is everything that the client did and was told.
type History struct {
	begun time.Time

	mu    sync.Mutex
	ops   []Op
	marks []Mark
}

// Mark begins a named interval.
type Mark struct {
	Name string
	At   time.Duration
}

// NewHistory begins now.
func NewHistory() *History {
	return &History{begun: time.Now(), marks: []Mark{{Name: "start"}}}
}

// Now is the time since the history began. It never goes back.
func (h *History) Now() time.Duration { return time.Since(h.begun) }

// Note adds an operation that is over.
func (h *History) Note(op Op) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, op)
}

// Mark ends the present interval and begins another.
func (h *History) Mark(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.marks = append(h.marks, Mark{name, h.Now()})
}

// Acknowledged counts the writes acknowledged so far that began at or after `since`.
func (h *History) Acknowledged(since time.Duration) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	count := 0
	// The latest are at the end, and no operation lasts longer than its timeout.
	for index := len(h.ops) - 1; index >= 0; index-- {
		op := &h.ops[index]
		if op.Retired < since {
			break
		}
		if op.Writes() && op.Invoked >= since {
			count++
		}
	}
	return count
}

// Interval is the time from one mark to the next.
type Interval struct {
	Name         string  `json:"name"`
	Seconds      float64 `json:"seconds"`
	Acknowledged int     `json:"acknowledged"`
	// GapMs is the longest time within it without an acknowledged write, whoever wrote.
	GapMs float64 `json:"gapMs"`
	// StallMs is how long at most the client itself was kept from running: a gap as long as this says nothing of etcd.
	StallMs float64 `json:"stallMs"`
}

// Stall is a moment at which the client noticed that it had not run.
type Stall struct{ At, Late time.Duration }

// Intervals cuts the time up to `end` at the marks.
func (h *History) Intervals(end time.Duration, stalls []Stall) []Interval {
	h.mu.Lock()
	defer h.mu.Unlock()
	var acks []time.Duration
	for index := range h.ops {
		if h.ops[index].Writes() {
			acks = append(acks, h.ops[index].Retired)
		}
	}
	slices.Sort(acks)
	all := make([]Interval, 0, len(h.marks))
	for index, mark := range h.marks {
		until := end
		if index+1 < len(h.marks) {
			until = min(end, h.marks[index+1].At)
		}
		first, _ := slices.BinarySearch(acks, mark.At)
		past, _ := slices.BinarySearch(acks, until)
		past = max(first, past)
		interval := Interval{Name: mark.Name, Seconds: (until - mark.At).Seconds(), Acknowledged: past - first}
		gap, last := time.Duration(0), mark.At
		for _, at := range append(slices.Clone(acks[first:past]), until) {
			gap, last = max(gap, at-last), at
		}
		interval.GapMs = milliseconds(gap)
		for _, stall := range stalls {
			if stall.At >= mark.At && stall.At < until {
				interval.StallMs = max(interval.StallMs, milliseconds(stall.Late))
			}
		}
		all = append(all, interval)
	}
	return all
}

// Ops returns all operations by the time at which they began.
func (h *History) Ops() []Op {
	h.mu.Lock()
	defer h.mu.Unlock()
	ops := slices.Clone(h.ops)
	slices.SortStableFunc(ops, func(a, b Op) int { return cmp.Compare(a.Invoked, b.Invoked) })
	return ops
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
