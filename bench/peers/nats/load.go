package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	stream      = "load"
	subjects    = 8
	streamLimit = 30 * time.Second
	drainLimit  = 5 * time.Second
)

type loadOptions struct {
	servers                    string
	connections, window, bytes int
	warm, measured             time.Duration
}

// figures go to standard output as one line of JSON.
type figures struct {
	AcknowledgedPerSecond float64 `json:"acknowledgedPerSecond"`
	P50Ms                 float64 `json:"p50Ms"`
	P99Ms                 float64 `json:"p99Ms"`
	P999Ms                float64 `json:"p999Ms"`
	MaxMs                 float64 `json:"maxMs"`
	Failed                int     `json:"failed"`
}

// lanes are the unanswered messages of one connection. Its callbacks run one after another.
type lanes struct {
	connection *nats.Conn
	prefix     string
	body       []byte
	from, to   time.Time
	sentAt     []time.Time
	sent       int
	latencies  []time.Duration
	inTime     int
	failed     int
	mutex      sync.Mutex
	ended      sync.WaitGroup
}

func runLoad(options loadOptions) error {
	if err := makeStream(options.servers); err != nil {
		return err
	}
	from := time.Now().Add(options.warm)
	to := from.Add(options.measured)
	all := make([]*lanes, options.connections)
	for number := range all {
		started, err := startLanes(options, from, to)
		if err != nil {
			return err
		}
		all[number] = started
	}
	time.Sleep(time.Until(to))
	for _, one := range all {
		if err := one.end(); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(summary(all, options.measured))
}

// makeStream tries until the nodes have found one another.
func makeStream(servers string) error {
	connection, err := nats.Connect(servers)
	if err != nil {
		return err
	}
	defer connection.Close()
	context, err := connection.JetStream()
	if err != nil {
		return err
	}
	config := nats.StreamConfig{
		Name:     stream,
		Subjects: []string{stream + ".*"},
		Storage:  nats.FileStorage,
		Replicas: 3,
	}
	for end := time.Now().Add(streamLimit); ; time.Sleep(100 * time.Millisecond) {
		if _, err = context.AddStream(&config); err == nil {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("the stream: %w", err)
		}
	}
}

func startLanes(options loadOptions, from, to time.Time) (*lanes, error) {
	connection, err := nats.Connect(options.servers)
	if err != nil {
		return nil, err
	}
	of := &lanes{
		connection: connection,
		prefix:     nats.NewInbox() + ".",
		body:       bytes.Repeat([]byte{7}, options.bytes),
		from:       from,
		to:         to,
		sentAt:     make([]time.Time, options.window),
	}
	if _, err := connection.Subscribe(of.prefix+"*", of.onAnswer); err != nil {
		return nil, err
	}
	of.mutex.Lock()
	defer of.mutex.Unlock()
	for lane := range options.window {
		of.ended.Add(1)
		if err := of.send(lane); err != nil {
			return nil, err
		}
	}
	return of, nil
}

// send wants the lock.
func (of *lanes) send(lane int) error {
	of.sent++
	of.sentAt[lane] = time.Now()
	subject := stream + "." + strconv.Itoa(of.sent%subjects)
	return of.connection.PublishRequest(subject, of.prefix+strconv.Itoa(lane), of.body)
}

func (of *lanes) onAnswer(message *nats.Msg) {
	of.mutex.Lock()
	defer of.mutex.Unlock()
	lane, err := strconv.Atoi(message.Subject[len(of.prefix):])
	if err != nil {
		return
	}
	now := time.Now()
	sentAt := of.sentAt[lane]
	good := bytes.HasPrefix(message.Data, []byte(`{"stream":`))
	measured := !sentAt.Before(of.from) && sentAt.Before(of.to)
	switch {
	case !good && measured:
		of.failed++
	case good:
		if !now.Before(of.from) && now.Before(of.to) {
			of.inTime++
		}
		if measured {
			of.latencies = append(of.latencies, now.Sub(sentAt))
		}
	}
	if now.Before(of.to) && of.send(lane) == nil {
		return
	}
	of.ended.Done()
}

func (of *lanes) end() error {
	done := make(chan struct{})
	go func() {
		of.ended.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(drainLimit):
		return fmt.Errorf("messages are still unanswered %v after the load", drainLimit)
	}
	of.connection.Close()
	return nil
}

func summary(all []*lanes, measured time.Duration) figures {
	latencies := []time.Duration{}
	result := figures{}
	for _, of := range all {
		of.mutex.Lock()
		latencies = append(latencies, of.latencies...)
		result.AcknowledgedPerSecond += float64(of.inTime) / measured.Seconds()
		result.Failed += of.failed
		of.mutex.Unlock()
	}
	slices.Sort(latencies)
	at := func(share float64) float64 {
		if len(latencies) == 0 {
			return 0
		}
		place := min(len(latencies)-1, int(share*float64(len(latencies))))
		return float64(latencies[place].Microseconds()) / 1000
	}
	result.P50Ms, result.P99Ms, result.P999Ms, result.MaxMs = at(0.5), at(0.99), at(0.999), at(1)
	return result
}
