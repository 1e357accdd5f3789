package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/status"
)

const (
	// timeout is how long an application waits for one answer.
	timeout = time.Second
	// swaps is one in how many writes compares first.
	swaps = 5
	// open is how many writes of one writer may be under way: more than begin within the timeout, so that a write which is never
	// answered keeps nobody from writing.
	open = 256
)

// Load is what the workers share.
type Load struct {
	prefix  string
	pace    time.Duration
	history *History
	members *Members
	keys    *Keys
}

// Write begins a write every `pace` until the context ends, whatever becomes of the earlier ones, and returns when all are over.
func (l *Load) Write(ctx context.Context, worker int) {
	seat := &Seat{members: l.members, worker: worker}
	places := make(chan struct{}, open)
	var underway sync.WaitGroup
	defer underway.Wait()
	for range ticks(ctx, l.pace) {
		select {
		case places <- struct{}{}:
		default:
			continue
		}
		underway.Go(func() {
			l.writeOnce(worker, seat)
			<-places
		})
	}
}

func (l *Load) writeOnce(worker int, seat *Seat) {
	number, value, known := l.keys.Begin()
	op := Op{Worker: worker, Kind: Put, Key: number, Value: value}
	if known != 0 && rand.IntN(swaps) == 0 {
		op.Kind, op.Old = Swap, known
	}
	l.perform(&op, seat)
	found := op.Value
	switch {
	case op.Outcome != Ok:
		found = 0
	case op.Kind == Swap && !op.Swapped:
		found = op.Read
	}
	l.keys.End(number, op.Outcome, found)
}

// Read reads a key every `pace`, one at a time.
func (l *Load) Read(ctx context.Context, worker int) {
	seat := &Seat{members: l.members, worker: worker}
	for range ticks(ctx, l.pace) {
		op := Op{Worker: worker, Kind: Get, Key: l.keys.Some()}
		l.perform(&op, seat)
	}
}

// perform does the operation and notes it.
func (l *Load) perform(op *Op, seat *Seat) {
	client, number, err := seat.Client()
	op.Invoked = l.history.Now()
	if err == nil {
		// Not the workers' context: an operation that has begun is waited for, also at the end.
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		err = l.ask(ctx, client, op)
		cancel()
	}
	op.Retired = l.history.Now()
	if err != nil {
		op.Outcome, op.Error = outcome(err), err.Error()
		if fails(err) {
			seat.Leave(number)
		}
	}
	l.history.Note(*op)
}

func (l *Load) ask(ctx context.Context, client *clientv3.Client, op *Op) error {
	name := l.name(op.Key)
	switch op.Kind {
	case Put:
		answer, err := client.Put(ctx, name, text(op.Value))
		if err != nil {
			return err
		}
		op.Revision, op.Cluster = answer.Header.Revision, answer.Header.ClusterId
	case Swap:
		answer, err := client.Txn(ctx).If(clientv3.Compare(clientv3.Value(name), "=", text(op.Old))).
			Then(clientv3.OpPut(name, text(op.Value))).Else(clientv3.OpGet(name)).Commit()
		if err != nil {
			return err
		}
		op.Revision, op.Cluster, op.Swapped = answer.Header.Revision, answer.Header.ClusterId, answer.Succeeded
		if !op.Swapped {
			for _, kv := range answer.Responses[0].GetResponseRange().Kvs {
				op.Read = number(kv.Value)
			}
		}
	case Get:
		answer, err := client.Get(ctx, name)
		if err != nil {
			return err
		}
		op.Revision, op.Cluster = answer.Header.Revision, answer.Header.ClusterId
		for _, kv := range answer.Kvs {
			op.Read = number(kv.Value)
		}
	}
	return nil
}

func (l *Load) name(key int) string { return fmt.Sprintf("%s%08d", l.prefix, key) }

// keyOf is the reverse of name; -1 is no key of ours.
func (l *Load) keyOf(name []byte) int {
	number, err := strconv.Atoi(strings.TrimPrefix(string(name), l.prefix))
	if err != nil {
		return -1
	}
	return number
}

func text(value int64) string { return strconv.FormatInt(value, 10) }

// number is -1 for what we have never written.
func number(value []byte) int64 {
	number, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil {
		return -1
	}
	return number
}

// outcome tells what is sure from what is not. When in doubt: unknown.
func outcome(err error) Outcome {
	// Not ErrNoSpace: the write that fills the quota is applied, and refused all the same (etcd's quotaApplierV3).
	for _, refusal := range []error{rpctypes.ErrTooManyRequests, rpctypes.ErrGRPCNotSupportedForLearner} {
		if rpctypes.ErrorDesc(err) == rpctypes.ErrorDesc(refusal) {
			return Failed
		}
	}
	// gRPC had no connection on which it could have sent anything.
	if strings.Contains(rpctypes.ErrorDesc(err), "transport: Error while dialing") {
		return Failed
	}
	return Unknown
}

// fails says whether it is the member that failed, or the connection to it. Who answers that the cluster elects a leader has
// not: an application stays.
func fails(err error) bool {
	for _, gone := range []error{rpctypes.ErrGRPCStopped, rpctypes.ErrGRPCNotSupportedForLearner} {
		if rpctypes.ErrorDesc(err) == rpctypes.ErrorDesc(gone) {
			return true
		}
	}
	var answered rpctypes.EtcdError
	if errors.As(err, &answered) {
		return false
	}
	said, ok := status.FromError(err)
	return !ok || !strings.HasPrefix(said.Message(), "raft proposal dropped")
}

// ticks comes once a pace until the context ends. Ticks that were missed are not made up for.
func ticks(ctx context.Context, pace time.Duration) <-chan struct{} {
	out := make(chan struct{})
	go func() {
		defer close(out)
		ticker := time.NewTicker(pace)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			select {
			case <-ctx.Done():
				return
			case out <- struct{}{}:
			}
		}
	}()
	return out
}
