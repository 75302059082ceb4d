package main

import (
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	host       = "127.0.0.1"
	startLimit = 30 * time.Second
)

type serverOptions struct {
	name, routes, directory string
	port, clusterPort       int
	syncAlways              bool
}

// runServer serves until its standard input ends: then whoever started it is gone.
func runServer(options serverOptions) error {
	node, err := server.NewServer(&server.Options{
		ServerName: options.name,
		Host:       host,
		Port:       options.port,
		JetStream:  true,
		StoreDir:   options.directory,
		SyncAlways: options.syncAlways,
		NoSigs:     true,
		Cluster:    server.ClusterOpts{Name: "bench", Host: host, Port: options.clusterPort},
		Routes:     server.RoutesFromStr(options.routes),
	})
	if err != nil {
		return err
	}
	node.Start()
	if !node.ReadyForConnections(startLimit) {
		return errors.New(options.name + " does not serve")
	}
	if _, err := os.Stdout.WriteString(strings.Join([]string{"serving", options.name}, " ") + "\n"); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	node.Shutdown()
	node.WaitForShutdown()
	return nil
}
