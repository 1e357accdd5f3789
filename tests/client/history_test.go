package main

import (
	"testing"
	"time"
)

func TestGapsAreCutAtMarks(t *testing.T) {
	at := func(ms int) time.Duration { return time.Duration(ms) * time.Millisecond }
	h := &History{marks: []Mark{{"start", 0}, {"step", at(100)}, {"after", at(300)}}}
	for _, retired := range []int{10, 90, 120, 280, 310} {
		h.Note(Op{Kind: Put, Invoked: at(retired - 5), Retired: at(retired)})
	}
	h.Note(Op{Kind: Get, Retired: at(200)})
	h.Note(Op{Kind: Put, Retired: at(200), Outcome: Unknown})
	h.Note(Op{Kind: Swap, Retired: at(200)}) // did not swap
	all := h.Intervals(at(350), []Stall{{At: at(130), Late: at(40)}})
	for index, wanted := range []Interval{
		{"start", 0.1, 2, 80, 0},
		{"step", 0.2, 2, 160, 40},
		{"after", 0.05, 1, 40, 0},
	} {
		if got := all[index]; got != wanted {
			t.Errorf("got %+v, wanted %+v", got, wanted)
		}
	}
}

func TestAnIntervalWithoutWritesIsAllGap(t *testing.T) {
	h := &History{marks: []Mark{{"start", 0}}}
	if gap := h.Intervals(2*time.Second, nil)[0].GapMs; gap != 2000 {
		t.Errorf("got %v", gap)
	}
}

func TestOnlyWritesBegunLaterCountAsNext(t *testing.T) {
	h := &History{}
	h.Note(Op{Kind: Put, Invoked: 10, Retired: 30})
	if h.Acknowledged(20) != 0 || h.Acknowledged(10) != 1 {
		t.Error("a write under way was counted, or a later one was not")
	}
}

func TestAKeyIsLeftAloneAfterItsLife(t *testing.T) {
	keys := &Keys{}
	counts := map[int]int{}
	for range 100 * life {
		number, _, _ := keys.Begin()
		counts[number]++
		keys.End(number, Ok, 1)
	}
	for number, count := range counts {
		if count > life {
			t.Errorf("key %d was written %d times", number, count)
		}
	}
}

func TestWhileEtcdStallsKeysDoNotCrowd(t *testing.T) {
	keys := &Keys{}
	counts := map[int]int{}
	for range 1000 {
		number, _, _ := keys.Begin()
		counts[number]++
	}
	for number, count := range counts {
		if count > crowd {
			t.Errorf("%d writes of key %d are under way", count, number)
		}
	}
	for number := range counts {
		keys.End(number, Unknown, 0)
	}
}
