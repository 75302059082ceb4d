// NATS JetStream as a peer: `server` is one node of a group, `load` sends to a stream of three
// replicas in a closed loop and prints one line of JSON. Every message waits for its
// acknowledgement, as the load on RingLedger does.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("usage: %s server|load [flags]", os.Args[0]))
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	var err error
	switch os.Args[1] {
	case "server":
		options := serverOptions{}
		flags.StringVar(&options.name, "name", "n0", "name of this node")
		flags.IntVar(&options.port, "port", 0, "port for clients")
		flags.IntVar(&options.clusterPort, "cluster-port", 0, "port for other nodes")
		flags.StringVar(&options.routes, "routes", "", "nats://host:port of all nodes, with commas")
		flags.StringVar(&options.directory, "directory", "", "where the store lies")
		flags.BoolVar(&options.syncAlways, "sync-always", false, "fsync before an acknowledgement")
		flags.Parse(os.Args[2:])
		err = runServer(options)
	case "load":
		options := loadOptions{}
		flags.StringVar(&options.servers, "servers", "", "nats://host:port, with commas")
		flags.IntVar(&options.connections, "connections", 4, "")
		flags.IntVar(&options.window, "window", 64, "unanswered messages of a connection")
		flags.IntVar(&options.bytes, "bytes", 1024, "body of a message")
		flags.DurationVar(&options.warm, "warm", 3*time.Second, "not measured")
		flags.DurationVar(&options.measured, "measured", 5*time.Second, "")
		flags.Parse(os.Args[2:])
		err = runLoad(options)
	default:
		err = fmt.Errorf("%s: server or load is wanted", os.Args[1])
	}
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
