package main

import (
	"math/rand/v2"
	"sync"
)

const (
	// hot is how many keys all workers share: few enough that they meet.
	hot = 8
	// life is after how many writes a key is left alone, so that each key's history stays short enough to be checked.
	life = 60
	// doubts is after how many writes of unknown outcome that happens earlier.
	doubts = 3
	// crowd is how many writes of one key may be under way. While etcd stalls, further ones go to keys of their own.
	crowd = 3
)

// Keys are those in use. A key that has been written often enough is never written again.
type Keys struct {
	mu     sync.Mutex
	active []*key
	next   int
	values int64
}

type key struct {
	number   int
	writes   int
	doubts   int
	underway int
	known    int64 // the value last seen, by whomever
}

// Begin picks a key to write, and a value for it. `known` is the value last seen there, 0 if none was.
func (k *Keys) Begin() (number int, value, known int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	picked := k.pick()
	picked.writes++
	picked.underway++
	k.values++
	return picked.number, k.values, picked.known
}

func (k *Keys) pick() *key {
	for len(k.active) < hot {
		k.grow()
	}
	start := rand.IntN(hot)
	for index := range k.active {
		// Among the first at random; further ones only while those are crowded.
		candidate := index
		if index < hot {
			candidate = (start + index) % hot
		}
		if one := k.active[candidate]; one.underway < crowd {
			return one
		}
	}
	return k.grow()
}

func (k *Keys) grow() *key {
	fresh := &key{number: k.next}
	k.next++
	k.active = append(k.active, fresh)
	return fresh
}

// End says how a write ended, and which value is there as far as its writer knows (0: it does not).
func (k *Keys) End(number int, outcome Outcome, known int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for index, one := range k.active {
		if one.number != number {
			continue
		}
		one.underway--
		if outcome == Unknown {
			one.doubts++
		}
		if known != 0 {
			one.known = known
		}
		if one.writes >= life || one.doubts >= doubts {
			k.active = append(k.active[:index], k.active[index+1:]...)
		}
		return
	}
}

// Some returns a key to read.
func (k *Keys) Some() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	for len(k.active) < hot {
		k.grow()
	}
	return k.active[rand.IntN(hot)].number
}

// Count is how many keys there have ever been.
func (k *Keys) Count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.next
}
