package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// Members is where the members are now, as the harness says it. It is shared by all workers.
type Members struct {
	mu         sync.Mutex
	addresses  []string
	preferred  string
	generation int
	watchers   []*clientv3.Client
}

// Set replaces the addresses. Nobody leaves a connection because its address is gone from the list: an application does not
// notice that either. New addresses are shared out, unless all are to be at one member.
func (m *Members) Set(addresses []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(addresses) == 0 {
		return
	}
	news := slices.ContainsFunc(addresses, func(one string) bool { return !slices.Contains(m.addresses, one) })
	m.addresses = slices.Clone(addresses)
	if news && m.preferred == "" {
		m.generation++
	}
	for _, watcher := range m.watchers {
		watcher.SetEndpoints(urls(m.addresses)...)
	}
}

// Prefer connects every writer and reader to this member, until it fails them. None: they are spread again.
func (m *Members) Prefer(address string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.preferred = address
	m.generation++
}

// All returns the addresses.
func (m *Members) All() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.addresses)
}

// choose returns where a worker is to connect, and the generation of that choice. `after` is the address that has failed it.
func (m *Members) choose(worker int, after string) (string, int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if after != "" && after == m.preferred {
		m.preferred = ""
	}
	if m.preferred != "" && after == "" {
		return m.preferred, m.generation
	}
	at := worker
	if index := slices.Index(m.addresses, after); index >= 0 {
		at = index + 1
	}
	return m.addresses[at%len(m.addresses)], m.generation
}

// WatcherClient is connected to all members at once, as clientv3 does it by itself, and follows the list.
func (m *Members) WatcherClient() (*clientv3.Client, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	client, err := connect(m.addresses)
	if err == nil {
		m.watchers = append(m.watchers, client)
	}
	return client, err
}

// Seat is a worker's connection to one member, as a Service would give it one. It moves when that member fails it.
type Seat struct {
	members *Members
	worker  int

	mu         sync.Mutex
	client     *clientv3.Client
	address    string
	generation int
	number     int
	since      time.Time
}

// settle keeps a worker from connecting again and again to the only member. A handshake costs both sides some milliseconds of a
// processor: members that are slow for want of one would be kept so by clients that never rest, which those of applications do.
func settle() time.Duration {
	if encryption == nil {
		return 50 * time.Millisecond
	}
	return 300 * time.Millisecond
}

// Client returns the connection and its number.
func (s *Seat) Client() (*clientv3.Client, int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	address, generation := s.members.choose(s.worker, "")
	if s.client == nil || generation != s.generation {
		s.generation = generation
		if s.client == nil || address != s.address {
			return s.move(address)
		}
	}
	return s.client, s.number, nil
}

// Leave moves to the next member, unless somebody has done so since `number` was given.
func (s *Seat) Leave(number int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if number != s.number || time.Since(s.since) < settle() {
		return
	}
	next, _ := s.members.choose(s.worker, s.address)
	// The next operation tries again.
	_, _, _ = s.move(next)
}

func (s *Seat) move(address string) (*clientv3.Client, int, error) {
	client, err := connect([]string{address})
	if err != nil {
		return nil, 0, err
	}
	if old := s.client; old != nil {
		// What is under way there may still be answered.
		time.AfterFunc(2*timeout, func() { _ = old.Close() })
	}
	s.client, s.address, s.since = client, address, time.Now()
	s.number++
	return s.client, s.number, nil
}

// connect makes a client as applications do: nothing is dialled before the first request.
func connect(addresses []string) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{
		Endpoints:            urls(addresses),
		TLS:                  encryption,
		DialKeepAliveTime:    10 * time.Second, // gRPC allows no less
		DialKeepAliveTimeout: 3 * time.Second,
		Logger:               zap.NewNop(),
	})
}

func urls(addresses []string) []string {
	all := make([]string, 0, len(addresses))
	for _, address := range addresses {
		all = append(all, scheme()+"://"+address)
	}
	return all
}

// encryption is nil where traffic is plain.
var encryption *tls.Config

func scheme() string {
	if encryption == nil {
		return "http"
	}
	return "https"
}

// encrypt makes all connections show this certificate, and expect one for this name of that authority.
func encrypt(ca, certificate, key, name string) error {
	if _, err := tls.LoadX509KeyPair(certificate, key); err != nil {
		return err
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s holds no certificate", ca)
	}
	encryption = &tls.Config{
		MinVersion: tls.VersionTLS12,
		// clientv3 expects the host that it dials, and members are dialled by address here: they are known by another name.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			rest := x509.NewCertPool()
			for _, certificate := range state.PeerCertificates[1:] {
				rest.AddCert(certificate)
			}
			_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: pool, Intermediates: rest, DNSName: name})
			return err
		},
		// Read at each handshake, since it is renewed.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(certificate, key)
			return &pair, err
		},
	}
	return nil
}
