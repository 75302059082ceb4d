import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import org.apache.rocketmq.client.QueryResult;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Sends until everything is acknowledged; every acknowledged message is one `sent` line. */
final class Producing {
  private static final int SYNC_THREADS = 8;
  private static final int ASYNC_WINDOW = 256;
  private static final int BATCH = 100;
  /** Between two attempts while the group has no leader. */
  private static final int RETRY_MS = 50;
  private static final int GIVE_UP_MS = 90_000;
  /** Of the route; the client's own default is 30 s. */
  private static final int POLL_MS = 1_000;

  private static final String COMPRESS_TYPE = "rocketmq.message.compressType";

  private final String nameServer;
  private final ConcurrentHashMap<String, DefaultMQProducer> producers = new ConcurrentHashMap<>();

  Producing(String nameServer) {
    this.nameServer = nameServer;
  }

  /** What is sent, and as what. */
  private static final class Job {
    final DefaultMQProducer producer;
    final String topic;
    final String prefix;
    final String[] tags;
    final int first;
    final int count;
    final int delayLevel;
    final String body;
    /** How long a send that failed is tried again. */
    final long patienceMs;

    Job(DefaultMQProducer producer, ClientDriver.Arguments arguments) {
      this.producer = producer;
      topic = arguments.text("topic");
      prefix = arguments.text("prefix");
      tags = arguments.text("tags", "T").split(",");
      first = arguments.number("first", 0);
      count = arguments.number("count", 1);
      delayLevel = arguments.number("delay", 0);
      patienceMs = arguments.number("patienceMs", GIVE_UP_MS);
      body = "x".repeat(arguments.number("size", 100));
    }

    Message message(int index) {
      String key = prefix + "-" + index;
      byte[] bytes = (key + " " + body).getBytes(StandardCharsets.UTF_8);
      Message message = new Message(topic, tags[index % tags.length], key, bytes);
      if (delayLevel > 0) message.setDelayTimeLevel(delayLevel);
      return message;
    }
  }

  private interface Send {
    SendResult send() throws Exception;
  }

  void produce(ClientDriver.Arguments arguments, ClientDriver.Line answer) throws Exception {
    String mode = arguments.text("mode", "sync");
    String group = arguments.text("group", "producers");
    // The client reads it when a producer is made: each kind has a group of its own.
    String compressType = arguments.text("compress", "");
    if (!compressType.isEmpty()) System.setProperty(COMPRESS_TYPE, compressType);
    Job job = new Job(producer(group, arguments.number("pollMs", POLL_MS)), arguments);
    switch (mode) {
      case "sync":
        inThreads(SYNC_THREADS, job, (index) -> sync(job, index));
        break;
      case "ordered":
        ordered(job, arguments.number("queues", 8));
        break;
      case "async":
        async(job);
        break;
      case "batch":
        batches(job);
        break;
      case "oneway":
        oneWay(job);
        break;
      default:
        throw new IllegalArgumentException("no mode " + mode);
    }
    answer.put("sent", job.count);
  }

  private interface Indexed {
    void run(int index) throws Exception;
  }

  /** Thread t takes the indexes t, t + threads, …, one after the other. */
  private static void inThreads(int threads, Job job, Indexed action) throws Exception {
    List<Throwable> errors = new ArrayList<>();
    List<Thread> running = new ArrayList<>();
    for (int t = 0; t < threads; t++) {
      int offset = t;
      Thread thread =
          new Thread(
              () -> {
                try {
                  for (int i = offset; i < job.count; i += threads) action.run(job.first + i);
                } catch (Throwable error) {
                  synchronized (errors) {
                    errors.add(error);
                  }
                }
              });
      thread.start();
      running.add(thread);
    }
    for (Thread thread : running) thread.join();
    if (!errors.isEmpty()) throw new Exception(errors.get(0));
  }

  private void sync(Job job, int index) throws Exception {
    Message message = job.message(index);
    acknowledged(job.topic, List.of(message), untilSent(job, () -> job.producer.send(message)));
  }

  /** Queue = index modulo queues; within a queue the next one is sent after the one before. */
  private void ordered(Job job, int queues) throws Exception {
    inThreads(
        queues,
        job,
        (index) -> {
          Message message = job.message(index);
          SendResult result =
              untilSent(
                  job,
                  () ->
                      job.producer.send(
                          message,
                          (list, ignored, number) -> list.get((Integer) number % list.size()),
                          index));
          acknowledged(job.topic, List.of(message), result);
        });
  }

  private void async(Job job) throws Exception {
    Semaphore window = new Semaphore(ASYNC_WINDOW);
    CountDownLatch all = new CountDownLatch(job.count);
    List<Integer> failed = new ArrayList<>();
    for (int i = 0; i < job.count; i++) {
      int index = job.first + i;
      Message message = job.message(index);
      SendCallback callback =
          new SendCallback() {
            @Override
            public void onSuccess(SendResult result) {
              if (result.getSendStatus() == SendStatus.SEND_OK) {
                acknowledged(job.topic, List.of(message), result);
              } else {
                again();
              }
              end();
            }

            @Override
            public void onException(Throwable error) {
              again();
              end();
            }

            private void again() {
              synchronized (failed) {
                failed.add(index);
              }
            }

            private void end() {
              window.release();
              all.countDown();
            }
          };
      window.acquire();
      try {
        job.producer.send(message, callback);
      } catch (Exception error) {
        callback.onException(error);
      }
    }
    all.await();
    for (int index : failed) sync(job, index);
  }

  private void batches(Job job) throws Exception {
    for (int from = 0; from < job.count; from += BATCH) {
      List<Message> batch = new ArrayList<>();
      for (int i = from; i < Math.min(from + BATCH, job.count); i++) {
        batch.add(job.message(job.first + i));
      }
      acknowledged(job.topic, batch, untilSent(job, () -> job.producer.send(batch)));
    }
  }

  private void oneWay(Job job) throws Exception {
    for (int i = 0; i < job.count; i++) job.producer.sendOneway(job.message(job.first + i));
  }

  /** A send that failed may be in the log all the same: a repeat is the sender's. */
  private static SendResult untilSent(Job job, Send send) throws Exception {
    long end = System.currentTimeMillis() + job.patienceMs;
    for (; ; ) {
      try {
        SendResult result = send.send();
        if (result.getSendStatus() == SendStatus.SEND_OK) return result;
      } catch (Exception error) {
        if (System.currentTimeMillis() >= end) throw error;
      }
      Thread.sleep(RETRY_MS);
    }
  }

  private static void acknowledged(String topic, List<Message> messages, SendResult result) {
    String[] ids = result.getMsgId().split(",");
    String[] offsetIds = result.getOffsetMsgId().split(",");
    for (int i = 0; i < messages.size(); i++) {
      new ClientDriver.Line()
          .put("event", "sent")
          .put("topic", topic)
          .put("key", messages.get(i).getKeys())
          .put("queue", result.getMessageQueue().getQueueId())
          .put("offset", result.getQueueOffset() + i)
          // An inner batch has one id.
          .put("messageId", ids[Math.min(i, ids.length - 1)])
          .put("offsetMessageId", offsetIds[Math.min(i, offsetIds.length - 1)])
          .say();
    }
  }

  /** By message id or by unique key: the client decides which one it is. */
  void view(ClientDriver.Arguments arguments, ClientDriver.Line answer) throws Exception {
    DefaultMQProducer producer = producer(arguments.text("group", "producers"));
    MessageExt message = producer.viewMessage(arguments.text("topic"), arguments.text("messageId"));
    answer
        .put("key", message.getKeys())
        .put("queue", message.getQueueId())
        .put("offset", message.getQueueOffset());
  }

  void query(ClientDriver.Arguments arguments, ClientDriver.Line answer) throws Exception {
    DefaultMQProducer producer = producer(arguments.text("group", "producers"));
    QueryResult result =
        producer.queryMessage(
            arguments.text("topic"), arguments.text("key"), 32, 0, Long.MAX_VALUE);
    MessageExt first = result.getMessageList().get(0);
    answer
        .put("found", result.getMessageList().size())
        .put("key", first.getKeys())
        .put("queue", first.getQueueId())
        .put("offset", first.getQueueOffset());
  }

  private DefaultMQProducer producer(String group) throws Exception {
    return producer(group, POLL_MS);
  }

  private DefaultMQProducer producer(String group, int pollMs) throws Exception {
    synchronized (producers) {
      DefaultMQProducer producer = producers.get(group);
      if (producer == null) {
        producer = new DefaultMQProducer(group);
        producer.setNamesrvAddr(nameServer);
        producer.setInstanceName("producer-" + group);
        producer.setPollNameServerInterval(pollMs);
        producer.setHeartbeatBrokerInterval(1000);
        producer.setSendMsgTimeout(2000);
        producer.start();
        producers.put(group, producer);
      }
      return producer;
    }
  }
}
