package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

const (
	syncSenders = 8
	asyncWindow = 256
	batchSize   = 100
	retryPause  = 50 * time.Millisecond
	giveUp      = 90 * time.Second
)

// Sends until everything is acknowledged; every acknowledged message is one `sent` line.
type producing struct {
	nameServer string
	mutex      sync.Mutex
	started    map[string]rocketmq.Producer
}

type job struct {
	producer rocketmq.Producer
	topic    string
	prefix   string
	tags     []string
	first    int
	count    int
}

func (j *job) message(index int) *primitive.Message {
	key := fmt.Sprintf("%s-%d", j.prefix, index)
	message := primitive.NewMessage(j.topic, []byte(key+" "+strings.Repeat("x", 100)))
	message.WithKeys([]string{key})
	message.WithTag(j.tags[index%len(j.tags)])
	return message
}

func (p *producing) produce(args arguments) error {
	mode := args.text("mode", "sync")
	started, err := p.producer(mode == "ordered")
	if err != nil {
		return err
	}
	j := &job{
		producer: started,
		topic:    args["topic"],
		prefix:   args["prefix"],
		tags:     strings.Split(args.text("tags", "T"), ","),
		first:    args.number("first", 0),
		count:    args.number("count", 1),
	}
	switch mode {
	case "sync":
		return j.senders(syncSenders, func(index int) error { return j.sync(j.message(index)) })
	case "ordered":
		queues := args.number("queues", 8)
		return j.senders(queues, func(index int) error {
			message := j.message(index)
			message.Queue = &primitive.MessageQueue{
				Topic: j.topic, BrokerName: args["broker"], QueueId: index % queues,
			}
			return j.sync(message)
		})
	case "async":
		return j.async()
	case "batch":
		return j.batches()
	}
	return fmt.Errorf("no mode %s", mode)
}

// Sender t takes the indexes t, t + senders, …, one after the other.
func (j *job) senders(senders int, send func(index int) error) error {
	ended := make(chan error, senders)
	for t := 0; t < senders; t++ {
		go func(index int) {
			for ; index < j.count; index += senders {
				if err := send(j.first + index); err != nil {
					ended <- err
					return
				}
			}
			ended <- nil
		}(t)
	}
	var first error
	for t := 0; t < senders; t++ {
		if err := <-ended; err != nil && first == nil {
			first = err
		}
	}
	return first
}

// A send that failed may be in the log all the same: a repeat is the sender's.
func (j *job) sync(messages ...*primitive.Message) error {
	end := time.Now().Add(giveUp)
	for {
		result, err := j.producer.SendSync(context.Background(), messages...)
		if err == nil && result.Status == primitive.SendOK {
			j.acknowledged(messages, result)
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("not sent: %v %v", result, err)
		}
		time.Sleep(retryPause)
	}
}

func (j *job) async() error {
	window := make(chan struct{}, asyncWindow)
	var open sync.WaitGroup
	var mutex sync.Mutex
	var failed []int
	again := func(index int) {
		mutex.Lock()
		defer mutex.Unlock()
		failed = append(failed, index)
	}
	for i := 0; i < j.count; i++ {
		index := j.first + i
		message := j.message(index)
		window <- struct{}{}
		open.Add(1)
		callback := func(_ context.Context, result *primitive.SendResult, err error) {
			if err == nil && result.Status == primitive.SendOK {
				j.acknowledged([]*primitive.Message{message}, result)
			} else {
				again(index)
			}
			<-window
			open.Done()
		}
		if err := j.producer.SendAsync(context.Background(), callback, message); err != nil {
			callback(context.Background(), nil, err)
		}
	}
	open.Wait()
	for _, index := range failed {
		if err := j.sync(j.message(index)); err != nil {
			return err
		}
	}
	return nil
}

func (j *job) batches() error {
	for from := 0; from < j.count; from += batchSize {
		var batch []*primitive.Message
		for i := from; i < min(from+batchSize, j.count); i++ {
			batch = append(batch, j.message(j.first+i))
		}
		if err := j.sync(batch...); err != nil {
			return err
		}
	}
	return nil
}

func (j *job) acknowledged(messages []*primitive.Message, result *primitive.SendResult) {
	offsetIDs := strings.Split(result.OffsetMsgID, ",")
	for i, message := range messages {
		say(line{
			"event":           "sent",
			"topic":           j.topic,
			"key":             message.GetKeys(),
			"queue":           result.MessageQueue.QueueId,
			"offset":          result.QueueOffset + int64(i),
			"messageId":       result.MsgID,
			"offsetMessageId": offsetIDs[min(i, len(offsetIDs)-1)],
		})
	}
}

// One producer chooses the queue itself, the other is told.
func (p *producing) producer(manual bool) (rocketmq.Producer, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	name := fmt.Sprintf("producers-%t", manual)
	if started, ok := p.started[name]; ok {
		return started, nil
	}
	options := []producer.Option{
		producer.WithNameServer(primitive.NamesrvAddr{p.nameServer}),
		producer.WithGroupName(name),
		producer.WithInstanceName(name),
		producer.WithSendMsgTimeout(2 * time.Second),
	}
	if manual {
		options = append(options, producer.WithQueueSelector(producer.NewManualQueueSelector()))
	}
	started, err := rocketmq.NewProducer(options...)
	if err != nil {
		return nil, err
	}
	if p.started == nil {
		p.started = map[string]rocketmq.Producer{}
	}
	p.started[name] = started
	return started, started.Start()
}
