package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Evidence is all that there is to judge.
type Evidence struct {
	Ops      []Op      // by the time at which they began
	Watched  [][]Event // of each watcher
	Troubles []string  // what a watcher or a member said that it never should
	Finals   []map[int]Last
}

// Judge returns what was broken.
func Judge(e Evidence) []Violation {
	var found []Violation
	for _, trouble := range e.Troubles {
		found = append(found, Violation{Rule: "served", Explanation: trouble})
	}
	found = append(found, checkCluster(e.Ops)...)
	found = append(found, checkOrder(e.Ops)...)
	for watcher, events := range e.Watched {
		found = append(found, checkWatch(watcher, e.Ops, events)...)
	}
	found = append(found, checkWatchersAgree(e.Watched)...)
	for _, final := range e.Finals {
		found = append(found, checkFinal(e.Ops, final)...)
	}
	return append(found, checkLinear(e.Ops)...)
}

// checkCluster: every answer comes from one cluster.
func checkCluster(ops []Op) []Violation {
	var first *Op
	for index := range ops {
		op := &ops[index]
		switch {
		case op.Outcome != Ok:
		case first == nil:
			first = op
		case op.Cluster != first.Cluster:
			return []Violation{violation("one cluster", []Op{*first, *op}, "clusters %x and %x both answered", first.Cluster, op.Cluster)}
		}
	}
	return nil
}

// checkOrder: what begins after a write was acknowledged sees a store that has it. Revisions are one order of all keys, so this
// says more than any one key's history.
func checkOrder(ops []Op) []Violation {
	retired := make([]*Op, 0, len(ops))
	for index := range ops {
		if ops[index].Outcome == Ok {
			retired = append(retired, &ops[index])
		}
	}
	slices.SortFunc(retired, func(a, b *Op) int { return cmp.Compare(a.Retired, b.Retired) })
	var found []Violation
	var latest *Op // with the highest revision, of those that ended before
	next := 0
	for index := range ops {
		op := &ops[index]
		if op.Outcome != Ok {
			continue
		}
		for ; next < len(retired) && retired[next].Retired < op.Invoked; next++ {
			if latest == nil || retired[next].Revision > latest.Revision {
				latest = retired[next]
			}
		}
		if latest == nil {
			continue
		}
		if op.Revision < latest.Revision || op.Writes() && op.Revision == latest.Revision {
			found = append(found, violation("order", []Op{*latest, *op},
				"an operation that began later has revision %d, not above %d", op.Revision, latest.Revision))
			if len(found) == maxViolations {
				break
			}
		}
	}
	return found
}

// checkWatch: a watcher is told of every change once, in order, without a gap, and of nothing else.
func checkWatch(watcher int, ops []Op, events []Event) []Violation {
	var found []Violation
	tell := func(ops []Op, format string, args ...any) {
		if len(found) < maxViolations {
			found = append(found, violation("watch", ops, "watcher %d: "+format, append([]any{watcher}, args...)...))
		}
	}
	writes := map[int64]*Op{}
	for index := range ops {
		if ops[index].Kind != Get {
			writes[ops[index].Value] = &ops[index]
		}
	}
	told := map[int64]Event{}
	versions := map[int]int64{}
	var last int64
	for _, event := range events {
		if event.Revision <= last {
			tell(nil, "was told of revision %d after %d", event.Revision, last)
		}
		last = event.Revision
		if versions[event.Key]++; event.Version != versions[event.Key] {
			tell(nil, "missed a change of key %d: told of version %d, not %d, at revision %d", event.Key, event.Version, versions[event.Key], event.Revision)
			versions[event.Key] = event.Version
		}
		op := writes[event.Value]
		switch {
		case op == nil || op.Key != event.Key:
			tell(nil, "was told of value %d of key %d at revision %d, which nobody wrote", event.Value, event.Key, event.Revision)
		case op.Outcome == Failed:
			tell([]Op{*op}, "was told of a write that had failed, at revision %d", event.Revision)
		case op.Outcome == Ok && !op.Writes():
			tell([]Op{*op}, "was told of a swap that had not swapped, at revision %d", event.Revision)
		}
		told[event.Revision] = event
	}
	for index := range ops {
		op := &ops[index]
		if !op.Writes() {
			continue
		}
		event, there := told[op.Revision]
		switch {
		case !there:
			tell([]Op{*op}, "was never told of an acknowledged write")
		case event.Key != op.Key || event.Value != op.Value:
			tell([]Op{*op}, "was told of key %d, value %d at the revision of an acknowledged write", event.Key, event.Value)
		}
	}
	return found
}

// checkWatchersAgree: all are told the same.
func checkWatchersAgree(watched [][]Event) []Violation {
	for watcher := 1; watcher < len(watched); watcher++ {
		first, other := watched[0], watched[watcher]
		for index := range min(len(first), len(other)) {
			if first[index] != other[index] {
				return []Violation{violation("watch", nil, "watcher 0 was told %+v where watcher %d was told %+v", first[index], watcher, other[index])}
			}
		}
	}
	return nil
}

// checkFinal: every acknowledged write is there at the end, or a later one of its key.
func checkFinal(ops []Op, final map[int]Last) []Violation {
	var found []Violation
	newest := map[int]*Op{}
	acknowledged := map[int]int64{}
	for index := range ops {
		op := &ops[index]
		if !op.Writes() {
			continue
		}
		acknowledged[op.Key]++
		if now := newest[op.Key]; now == nil || op.Revision > now.Revision {
			newest[op.Key] = op
		}
	}
	for key, op := range newest {
		last := final[key]
		switch {
		case last.Revision < op.Revision:
			found = append(found, violation("lost", []Op{*op}, "an acknowledged write is lost: key %d was last changed at %d", key, last.Revision))
		case last.Revision == op.Revision && last.Value != op.Value:
			found = append(found, violation("lost", []Op{*op}, "an acknowledged write is changed: key %d holds %d", key, last.Value))
		case last.Version < acknowledged[key]:
			found = append(found, violation("lost", []Op{*op}, "key %d was written %d times, but %d writes were acknowledged", key, last.Version, acknowledged[key]))
		}
		if len(found) == maxViolations {
			break
		}
	}
	return found
}

// Report is what the client prints at its end.
type Report struct {
	Reply        string      `json:"reply"`
	Verdict      string      `json:"verdict"` // ok or violation
	Violations   []Violation `json:"violations"`
	Ops          int         `json:"ops"`
	Acknowledged int         `json:"acknowledged"`
	Reads        int         `json:"reads"`
	Failed       int         `json:"failed"`
	Unknown      int         `json:"unknown"`
	Events       int         `json:"events"`
	Cluster      string      `json:"cluster"`
	GapMs        float64     `json:"gapMs"`
	Intervals    []Interval  `json:"intervals"`
	CheckSeconds float64     `json:"checkSeconds"`
	// Complaints are the first answers that were errors, each sentence once: not violations, but worth reading.
	Complaints []string `json:"complaints"`
}

// Conclude judges and adds up.
func Conclude(e Evidence, intervals []Interval) Report {
	started := time.Now()
	report := Report{Reply: "report", Verdict: "ok", Violations: Judge(e), Intervals: intervals, Ops: len(e.Ops), Complaints: []string{}}
	report.CheckSeconds = time.Since(started).Seconds()
	if report.Violations == nil {
		report.Violations = []Violation{}
	}
	if len(report.Violations) > 0 {
		report.Verdict = "violation"
	}
	for _, interval := range intervals {
		report.GapMs = max(report.GapMs, interval.GapMs)
	}
	for _, events := range e.Watched {
		report.Events += len(events)
	}
	said := map[string]bool{}
	for index := range e.Ops {
		op := &e.Ops[index]
		switch {
		case op.Writes():
			report.Acknowledged++
		case op.Outcome == Ok:
			report.Reads++
		case op.Outcome == Failed:
			report.Failed++
		case op.Outcome == Unknown:
			report.Unknown++
		}
		if op.Outcome == Ok && report.Cluster == "" {
			report.Cluster = fmt.Sprintf("%x", op.Cluster)
		}
		if op.Error != "" && !said[op.Error] && len(said) < 2*around {
			said[op.Error] = true
			report.Complaints = append(report.Complaints, fmt.Sprintf("%.3f s: %s", op.Retired.Seconds(), op.Error))
		}
	}
	return report
}
