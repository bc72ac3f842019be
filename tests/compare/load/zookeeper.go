package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// As much of ZooKeeper's protocol as putting values takes: integers are big-endian, what
// has no fixed length has its length before it, and so has every message.
type zooKeeperClient struct {
	connection net.Conn
	reader     *bufio.Reader
	next       int32
	request    []byte
}

const (
	opCreate  = 1
	opSetData = 5
	nodeThere = -110
)

func connectZooKeeper(address string) (client, error) {
	connection, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		return nil, err
	}
	c := &zooKeeperClient{connection: connection, reader: bufio.NewReader(connection)}
	c.begin()
	c.int32(0)      // the protocol's version
	c.int64(0)      // the last transaction seen
	c.int32(40_000) // the session's timeout, in milliseconds
	c.int64(0)      // no session yet
	c.bytes(make([]byte, 16))
	answer, err := c.exchange()
	if err != nil {
		return nil, err
	}
	if len(answer) < 16 || binary.BigEndian.Uint32(answer[4:]) == 0 {
		return nil, errors.New("the server gives no session")
	}
	return c, nil
}

func (c *zooKeeperClient) put(key int, value []byte) error {
	c.header(opSetData)
	c.bytes([]byte(path(key)))
	c.bytes(value)
	c.int32(-1) // whatever version is there
	_, err := c.call()
	return err
}

func (c *zooKeeperClient) create(path string) error {
	c.header(opCreate)
	c.bytes([]byte(path))
	c.bytes([]byte{})
	c.int32(1)  // one permission:
	c.int32(31) // all,
	c.bytes([]byte("world"))
	c.bytes([]byte("anyone"))
	c.int32(0) // a node that stays
	code, err := c.call()
	if code == nodeThere {
		return nil
	}
	return err
}

func path(key int) string {
	return fmt.Sprintf("/bench/%08d", key)
}

// So many clients make the nodes, however few are measured afterwards.
const creating = 64

// Makes the nodes.
func createAll(addresses []string, keys int) error {
	clients := make([]*zooKeeperClient, creating)
	for i := range clients {
		connected, err := connectZooKeeper(addresses[i%len(addresses)])
		if err != nil {
			return err
		}
		clients[i] = connected.(*zooKeeperClient)
		defer clients[i].connection.Close()
	}
	if err := clients[0].create("/bench"); err != nil {
		return err
	}
	failed := make(chan error, len(clients))
	var running sync.WaitGroup
	for i, client := range clients {
		running.Add(1)
		go func(i int, client *zooKeeperClient) {
			defer running.Done()
			for key := i; key < keys; key += len(clients) {
				if err := client.create(path(key)); err != nil {
					failed <- err
					return
				}
			}
		}(i, client)
	}
	running.Wait()
	close(failed)
	return <-failed
}

func (c *zooKeeperClient) begin() {
	c.request = append(c.request[:0], 0, 0, 0, 0)
}

func (c *zooKeeperClient) header(operation int32) {
	c.begin()
	c.next++
	c.int32(c.next)
	c.int32(operation)
}

func (c *zooKeeperClient) int32(value int32) {
	c.request = append(c.request, byte(value>>24), byte(value>>16), byte(value>>8), byte(value))
}

func (c *zooKeeperClient) int64(value int64) {
	c.int32(int32(value >> 32))
	c.int32(int32(value))
}

func (c *zooKeeperClient) bytes(value []byte) {
	c.int32(int32(len(value)))
	c.request = append(c.request, value...)
}

// Sends a request, and reads the header of its answer: number, transaction, error.
func (c *zooKeeperClient) call() (int32, error) {
	answer, err := c.exchange()
	if err != nil {
		return 0, err
	}
	if len(answer) < 16 || int32(binary.BigEndian.Uint32(answer)) != c.next {
		return 0, errors.New("an answer to another request")
	}
	if code := int32(binary.BigEndian.Uint32(answer[12:])); code != 0 {
		return code, fmt.Errorf("ZooKeeper's error %d", code)
	}
	return 0, nil
}

func (c *zooKeeperClient) exchange() ([]byte, error) {
	binary.BigEndian.PutUint32(c.request, uint32(len(c.request)-4))
	if err := c.connection.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return nil, err
	}
	if _, err := c.connection.Write(c.request); err != nil {
		return nil, err
	}
	var head [4]byte
	if _, err := io.ReadFull(c.reader, head[:]); err != nil {
		return nil, err
	}
	answer := make([]byte, binary.BigEndian.Uint32(head[:]))
	_, err := io.ReadFull(c.reader, answer)
	return answer, err
}
