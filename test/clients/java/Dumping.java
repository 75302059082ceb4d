import java.io.PrintStream;
import java.io.FileOutputStream;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** All that a client sees of topics, as text that is equal when two brokers hold the same. */
@SuppressWarnings("deprecation")
final class Dumping {
  private static final int BATCH = 32;
  /** Longest list that a broker answers a query by key with. */
  private static final int FOUND = 64;
  private static final int INNER_BATCH = 0x80;

  private final DefaultMQPullConsumer consumer = new DefaultMQPullConsumer("dumper");

  private Dumping() {}

  /**
   * Every message of `topics`, a line each, into `file`. With `lookups` every so many messages of a
   * queue are looked up by offset id, unique key, key and time.
   */
  static void dump(String nameServer, ClientDriver.Arguments arguments, ClientDriver.Line answer)
      throws Exception {
    Dumping dumping = new Dumping();
    dumping.consumer.setNamesrvAddr(nameServer);
    dumping.consumer.setInstanceName("dumper-" + System.nanoTime());
    dumping.consumer.start();
    int lookups = arguments.number("lookups", 0);
    int lines = 0;
    int found = 0;
    try (PrintStream out =
        new PrintStream(new FileOutputStream(arguments.text("file")), false, "UTF-8")) {
      for (String topic : arguments.text("topics").split(",")) {
        List<MessageQueue> queues =
            new ArrayList<>(dumping.consumer.fetchSubscribeMessageQueues(topic));
        queues.sort(Comparator.comparingInt(MessageQueue::getQueueId));
        for (MessageQueue queue : queues) {
          List<MessageExt> messages = dumping.read(queue);
          for (MessageExt message : messages) out.print(line(queue, message) + "\n");
          lines += messages.size();
          for (int i = 0; lookups > 0 && i < messages.size(); i += lookups) {
            try {
              dumping.lookUp(queue, messages, messages.get(i));
            } catch (Exception error) {
              throw new IllegalStateException("looking up " + messages.get(i), error);
            }
            found++;
          }
        }
      }
    }
    dumping.consumer.shutdown();
    answer.put("lines", lines).put("found", found);
  }

  private List<MessageExt> read(MessageQueue queue) throws Exception {
    List<MessageExt> messages = new ArrayList<>();
    long end = consumer.maxOffset(queue);
    for (long offset = consumer.minOffset(queue); offset < end; ) {
      PullResult result = consumer.pull(queue, "*", offset, BATCH);
      if (result.getNextBeginOffset() <= offset) {
        throw new IllegalStateException(queue + " ends at " + offset + " of " + end + ": " + result);
      }
      offset = result.getNextBeginOffset();
      if (result.getPullStatus() == PullStatus.FOUND) messages.addAll(result.getMsgFoundList());
    }
    return messages;
  }

  private static String line(MessageQueue queue, MessageExt message) throws Exception {
    Map<String, String> properties = new TreeMap<>(message.getProperties());
    // Of the queue at the time of the pull.
    properties.remove("MIN_OFFSET");
    properties.remove("MAX_OFFSET");
    MessageDigest digest = MessageDigest.getInstance("SHA-256");
    return String.join(
        " ",
        queue.getTopic() + "/" + queue.getQueueId() + "/" + message.getQueueOffset(),
        "topic=" + message.getTopic(),
        "queue=" + message.getQueueId(),
        "physical=" + message.getCommitLogOffset(),
        "size=" + message.getStoreSize(),
        "crc=" + message.getBodyCRC(),
        "flag=" + message.getFlag(),
        "sysFlag=" + message.getSysFlag(),
        "born=" + message.getBornTimestamp() + message.getBornHost(),
        "stored=" + message.getStoreTimestamp() + message.getStoreHost(),
        "times=" + message.getReconsumeTimes(),
        "prepared=" + message.getPreparedTransactionOffset(),
        "id=" + message.getMsgId(),
        "body=" + new BigInteger(1, digest.digest(message.getBody())).toString(16),
        "properties=" + properties);
  }

  /** @throws Exception when one of the ways does not lead to the message */
  private void lookUp(MessageQueue queue, List<MessageExt> messages, MessageExt message)
      throws Exception {
    String topic = queue.getTopic();
    MessageExt byId = consumer.viewMessage(topic, offsetIdOf(message));
    check(byId.getCommitLogOffset() == message.getCommitLogOffset(), "offset id", message);
    check(isBoundary(messages, queue, message.getStoreTimestamp()), "time", message);
    // Elements of an inner batch are indexed as one message.
    if ((message.getSysFlag() & INNER_BATCH) != 0) return;
    String uniqueKey = message.getProperty("UNIQ_KEY");
    if (uniqueKey != null) {
      MessageExt byUniqueKey = consumer.viewMessage(topic, uniqueKey);
      check(uniqueKey.equals(byUniqueKey.getProperty("UNIQ_KEY")), "unique key", message);
    }
    String keys = message.getKeys();
    if (keys == null || keys.isEmpty()) return;
    for (String key : keys.split(" ")) {
      List<MessageExt> byKey =
          consumer.queryMessage(topic, key, FOUND, 0, Long.MAX_VALUE).getMessageList();
      boolean isFound =
          byKey.stream().anyMatch((one) -> one.getCommitLogOffset() == message.getCommitLogOffset());
      check(isFound || byKey.size() >= FOUND, "key " + key, message);
    }
  }

  /** A search for the time leads to a message of then or later, behind one from before. */
  private boolean isBoundary(List<MessageExt> messages, MessageQueue queue, long time)
      throws Exception {
    long found = consumer.searchOffset(queue, time);
    long before = -1;
    for (MessageExt one : messages) {
      if (one.getQueueOffset() >= found) return before < time && one.getStoreTimestamp() >= time;
      before = one.getStoreTimestamp();
    }
    return false;
  }

  private static String offsetIdOf(MessageExt message) throws Exception {
    java.net.InetSocketAddress host = (java.net.InetSocketAddress) message.getStoreHost();
    java.nio.ByteBuffer id =
        java.nio.ByteBuffer.allocate(host.getAddress().getAddress().length + 12);
    id.put(host.getAddress().getAddress()).putInt(host.getPort());
    id.putLong(message.getCommitLogOffset());
    return String.format("%0" + 2 * id.capacity() + "X", new BigInteger(1, id.array()));
  }

  private static void check(boolean isFound, String way, MessageExt message) {
    if (!isFound) throw new IllegalStateException("not found by " + way + ": " + message);
  }
}
