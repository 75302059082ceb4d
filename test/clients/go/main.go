// The real Go client, driven by lines on stdin and answering with JSON lines on stdout, as
// ClientDriver.java does: `id command name=value …`.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
)

type arguments map[string]string

func (a arguments) text(name, otherwise string) string {
	if value, ok := a[name]; ok {
		return value
	}
	return otherwise
}

func (a arguments) number(name string, otherwise int) int {
	if value, err := strconv.Atoi(a[name]); err == nil {
		return value
	}
	return otherwise
}

type line map[string]any

var output sync.Mutex

func say(l line) {
	text, err := json.Marshal(l)
	if err != nil {
		panic(err)
	}
	output.Lock()
	defer output.Unlock()
	os.Stdout.Write(append(text, '\n'))
}

func run(id, command string, args arguments, p *producing, c *consuming) {
	answer := line{"id": id}
	var err error
	switch command {
	case "produce":
		err = p.produce(args)
	case "join":
		err = c.join(args)
	case "leave":
		err = c.leave(args)
	default:
		err = fmt.Errorf("no command %s", command)
	}
	if err != nil {
		answer["error"] = err.Error()
	}
	say(answer)
}

func main() {
	nameServer := os.Args[1]
	p := &producing{nameServer: nameServer}
	c := &consuming{nameServer: nameServer, members: map[string]member{}}
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		words := strings.Fields(in.Text())
		args := arguments{}
		for _, word := range words[2:] {
			name, value, _ := strings.Cut(word, "=")
			args[name] = value
		}
		go run(words[0], words[1], args, p, c)
	}
}
