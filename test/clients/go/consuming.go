package main

import (
	"context"
	"strings"
	"sync"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// Push consumers; each member is a client of its own, with its own connections.
type consuming struct {
	nameServer string
	mutex      sync.Mutex
	members    map[string]member
}

type member struct {
	consumer rocketmq.PushConsumer
}

func (c *consuming) join(args arguments) error {
	name := args["member"]
	orderly := args["orderly"] == "true"
	options := []consumer.Option{
		consumer.WithNameServer(primitive.NamesrvAddr{c.nameServer}),
		consumer.WithGroupName(args["group"]),
		consumer.WithInstance(name),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
		consumer.WithConsumerOrder(orderly),
		consumer.WithConsumeGoroutineNums(4),
	}
	if args["broadcast"] == "true" {
		options = append(options, consumer.WithConsumerModel(consumer.BroadCasting))
	}
	if times := args.number("maxReconsumeTimes", -1); times >= 0 {
		options = append(options, consumer.WithMaxReconsumeTimes(int32(times)))
	}
	made, err := rocketmq.NewPushConsumer(options...)
	if err != nil {
		return err
	}
	selector := consumer.MessageSelector{
		Type:       consumer.TAG,
		Expression: args.text("tags", "*"),
	}
	failures := int32(args.number("failures", 0))
	if err := made.Subscribe(args["topic"], selector, listener(name, orderly, failures)); err != nil {
		return err
	}
	c.mutex.Lock()
	c.members[name] = member{made}
	c.mutex.Unlock()
	return made.Start()
}

func (c *consuming) leave(args arguments) error {
	c.mutex.Lock()
	left := c.members[args["member"]]
	delete(c.members, args["member"])
	c.mutex.Unlock()
	return left.consumer.Shutdown()
}

type listen = func(context.Context, ...*primitive.MessageExt) (consumer.ConsumeResult, error)

// The first `failures` deliveries of every message are failed.
func listener(name string, orderly bool, failures int32) listen {
	return func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		ok := true
		for _, message := range messages {
			body, _, _ := strings.Cut(string(message.Body), " ")
			say(line{
				"event":    "got",
				"member":   name,
				"topic":    message.Topic,
				"from":     message.Queue.Topic,
				"queue":    message.Queue.QueueId,
				"offset":   message.QueueOffset,
				"key":      message.GetKeys(),
				"body":     body,
				"tag":      message.GetTags(),
				"times":    message.ReconsumeTimes,
				"bornMs":   message.BornTimestamp,
				"storedMs": message.StoreTimestamp,
			})
			ok = ok && message.ReconsumeTimes >= failures
		}
		if ok {
			return consumer.ConsumeSuccess, nil
		}
		if orderly {
			return consumer.SuspendCurrentQueueAMoment, nil
		}
		return consumer.ConsumeRetryLater, nil
	}
}
