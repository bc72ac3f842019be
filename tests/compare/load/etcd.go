package main

import (
	"context"
	"fmt"
	"time"

	"go.etcd.io/etcd/clientv3"
)

// etcd's own client, with one connection.
type etcdClient struct {
	client *clientv3.Client
}

func connectEtcd(address string) (client, error) {
	connected, err := clientv3.New(clientv3.Config{
		Endpoints:   []string{address},
		DialTimeout: 10 * time.Second,
	})
	if err != nil {
		return nil, err
	}
	return &etcdClient{connected}, nil
}

func (c *etcdClient) put(key int, value []byte) error {
	within, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_, err := c.client.Put(within, fmt.Sprintf("bench/%08d", key), string(value))
	return err
}
