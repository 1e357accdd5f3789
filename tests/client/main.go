// The continuous client: an application that never stops writing, reading and watching, and knows at the end whether etcd kept
// its promises. README.md says what it promises itself.
//
//	stdin ──▶ commands ──▶ members (where to connect), marks
//	writers, readers ──▶ history ─┐
//	watchers ─────────▶ events ───┼─▶ check ──▶ stdout: one report
//	final reads ──────────────────┘
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience is how long the end may take: members may need a moment to serve, watchers to catch up.
const patience = 30 * time.Second

func main() {
	endpoints := flag.String("endpoints", "", "addresses of the members, host:port, with commas between them")
	prefix := flag.String("prefix", "/client/", "what all keys begin with; nobody else may write there")
	writers := flag.Int("writers", 4, "number of writers")
	readers := flag.Int("readers", 2, "number of readers")
	watchers := flag.Int("watchers", 2, "number of watchers")
	pace := flag.Duration("pace", 20*time.Millisecond, "time between two operations of one worker")
	ca := flag.String("cacert", "", "file of the authority that members' certificates are of; empty where traffic is plain")
	certificate := flag.String("cert", "", "file of the certificate to show")
	key := flag.String("key", "", "file of its key")
	name := flag.String("name", "", "name that members' certificates have")
	flag.Parse()
	if *ca != "" {
		if err := encrypt(*ca, *certificate, *key, *name); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}

	members := &Members{}
	members.Set(split(*endpoints))
	if len(members.All()) == 0 {
		fmt.Fprintln(os.Stderr, "no endpoints")
		os.Exit(2)
	}
	load := &Load{prefix: *prefix, pace: *pace, history: NewHistory(), members: members, keys: &Keys{}}
	client := &Client{load: load, out: json.NewEncoder(os.Stdout)}
	report, err := client.run(*writers, *readers, *watchers)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	client.reply(report)
}

// Client is the whole program.
type Client struct {
	load *Load

	mu     sync.Mutex
	out    *json.Encoder
	stalls []Stall
}

func (c *Client) run(writers, readers, watchers int) (Report, error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	from, err := c.begin(ctx)
	if err != nil {
		return Report{}, err
	}

	watching, stopWatching := context.WithCancel(context.Background())
	defer stopWatching()
	var watch, work sync.WaitGroup
	all := make([]*Watcher, watchers)
	for index := range all {
		all[index] = &Watcher{load: c.load}
		watch.Go(func() { all[index].Watch(watching, from) })
	}
	working, stopWorking := context.WithCancel(ctx)
	defer stopWorking()
	for worker := range writers {
		work.Go(func() { c.load.Write(working, worker) })
	}
	for worker := range readers {
		work.Go(func() { c.load.Read(working, writers+worker) })
	}
	work.Go(func() { c.noteStalls(working) })
	go func() {
		c.obey(working)
		stopWorking()
	}()
	<-working.Done()
	end := c.load.history.Now()
	work.Wait()

	evidence := c.gather(all)
	stopWatching()
	watch.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return Conclude(evidence, c.load.history.Intervals(end, c.stalls)), nil
}

// begin waits until the cluster serves and returns the first revision that is ours.
func (c *Client) begin(ctx context.Context) (int64, error) {
	deadline := time.Now().Add(patience)
	for {
		var last error
		for _, address := range c.load.members.All() {
			client, err := connect([]string{address})
			if err != nil {
				return 0, err
			}
			limited, cancel := context.WithTimeout(ctx, timeout)
			answer, err := client.Get(limited, c.load.prefix)
			cancel()
			_ = client.Close()
			if err == nil {
				return answer.Header.Revision + 1, nil
			}
			last = err
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			return 0, fmt.Errorf("no member serves: %w", last)
		}
		pause(ctx, 100*time.Millisecond)
	}
}

// obey carries out commands until there are none: `endpoints A,B`, `prefer A`, `mark NAME`, `next`, `stop`.
func (c *Client) obey(ctx context.Context) {
	c.reply(map[string]string{"reply": "started"})
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		verb, rest, _ := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		switch verb {
		case "endpoints":
			c.load.members.Set(split(rest))
		case "prefer":
			c.load.members.Prefer(rest)
		case "mark":
			c.load.history.Mark(rest)
			c.reply(map[string]string{"reply": "marked", "name": rest})
		case "next":
			go c.next(ctx, rest)
		case "stop":
			return
		default:
			fmt.Fprintf(os.Stderr, "no such command: %q\n", verb)
		}
	}
}

// next replies when a write was acknowledged that began after now.
func (c *Client) next(ctx context.Context, name string) {
	since := c.load.history.Now()
	for ctx.Err() == nil {
		if c.load.history.Acknowledged(since) > 0 {
			c.reply(map[string]string{"reply": "next", "name": name})
			return
		}
		pause(ctx, 2*time.Millisecond)
	}
}

func (c *Client) reply(what any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// Nobody is left to tell when stdout is gone.
	_ = c.out.Encode(what)
}

// gather waits until the watchers know all that was acknowledged, and reads every key through every member.
func (c *Client) gather(watchers []*Watcher) Evidence {
	var evidence Evidence
	deadline := time.Now().Add(patience)
	for worker, address := range c.load.members.All() {
		final, err := c.load.Final(context.Background(), 1000+worker, address, c.load.keys.Count(), deadline)
		if err != nil {
			evidence.Troubles = append(evidence.Troubles, err.Error())
			continue
		}
		evidence.Finals = append(evidence.Finals, final)
	}
	evidence.Ops = c.load.history.Ops()
	var highest int64
	for index := range evidence.Ops {
		if evidence.Ops[index].Writes() {
			highest = max(highest, evidence.Ops[index].Revision)
		}
	}
	for _, watcher := range watchers {
		for watcher.Last() < highest && time.Now().Before(deadline) {
			time.Sleep(10 * time.Millisecond)
		}
		events, troubles := watcher.Seen()
		evidence.Watched = append(evidence.Watched, events)
		evidence.Troubles = append(evidence.Troubles, troubles...)
	}
	return evidence
}

// noteStalls looks for moments at which this process was not let run.
func (c *Client) noteStalls(ctx context.Context) {
	const step = 5 * time.Millisecond
	last := c.load.history.Now()
	for range ticks(ctx, step) {
		now := c.load.history.Now()
		if late := now - last - step; late > step {
			c.mu.Lock()
			c.stalls = append(c.stalls, Stall{At: last, Late: late})
			c.mu.Unlock()
		}
		last = now
	}
}

func split(list string) []string {
	return strings.FieldsFunc(list, func(one rune) bool { return one == ',' || one == ' ' })
}
