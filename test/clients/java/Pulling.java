import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Consumers that ask for messages themselves; they end when they have what they came for. */
final class Pulling {
  private static final long GIVE_UP_MS = 60_000;

  private Pulling() {}

  /**
   * The lite pull consumer: `count` messages of a subscription, or all since the time `sinceMs` by
   * assigning the queues and seeking.
   */
  static void lite(String nameServer, ClientDriver.Arguments arguments, ClientDriver.Line answer)
      throws Exception {
    String topic = arguments.text("topic");
    DefaultLitePullConsumer consumer = new DefaultLitePullConsumer(arguments.text("group"));
    consumer.setNamesrvAddr(nameServer);
    consumer.setInstanceName("lite-" + arguments.text("group"));
    consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
    consumer.setPollNameServerInterval(1000);
    consumer.setAutoCommit(false);
    boolean seeks = !arguments.text("sinceMs", "").isEmpty();
    if (!seeks) consumer.subscribe(topic, arguments.text("tags", "*"));
    consumer.start();
    if (seeks) {
      Collection<MessageQueue> queues = consumer.fetchMessageQueues(topic);
      consumer.assign(queues);
      // A seek interrupts the thread that pulled the queue last, whatever that thread does now: an
      // interrupted pull of another queue starts from before its own seek, or drops what it got.
      consumer.pause(queues);
      for (MessageQueue queue : queues) {
        consumer.seek(queue, consumer.offsetForTimestamp(queue, arguments.big("sinceMs")));
      }
      consumer.resume(queues);
    }
    int wanted = arguments.number("count", 1);
    int got = 0;
    long end = System.currentTimeMillis() + GIVE_UP_MS;
    while (got < wanted && System.currentTimeMillis() < end) {
      for (MessageExt message : consumer.poll(1000)) {
        say("lite", message);
        got++;
      }
      consumer.commitSync();
    }
    consumer.shutdown();
    answer.put("got", got);
  }

  /** The plain pull consumer: every queue from its beginning to its end. */
  @SuppressWarnings("deprecation")
  static void pull(String nameServer, ClientDriver.Arguments arguments, ClientDriver.Line answer)
      throws Exception {
    DefaultMQPullConsumer consumer = new DefaultMQPullConsumer(arguments.text("group"));
    consumer.setNamesrvAddr(nameServer);
    consumer.setInstanceName("pull-" + arguments.text("group"));
    consumer.start();
    List<MessageQueue> queues =
        new ArrayList<>(consumer.fetchSubscribeMessageQueues(arguments.text("topic")));
    queues.sort(Comparator.comparingInt(MessageQueue::getQueueId));
    int got = 0;
    for (MessageQueue queue : queues) {
      long offset = consumer.minOffset(queue);
      long end = consumer.maxOffset(queue);
      while (offset < end) {
        PullResult result = consumer.pull(queue, arguments.text("tags", "*"), offset, 32);
        offset = result.getNextBeginOffset();
        if (result.getPullStatus() != PullStatus.FOUND) continue;
        for (MessageExt message : result.getMsgFoundList()) {
          say("pull", message);
          got++;
        }
      }
      consumer.updateConsumeOffset(queue, offset);
    }
    consumer.shutdown();
    answer.put("got", got);
  }

  private static void say(String member, MessageExt message) {
    new ClientDriver.Line()
        .put("event", "got")
        .put("member", member)
        .put("topic", message.getTopic())
        .put("from", message.getTopic())
        .put("queue", message.getQueueId())
        .put("offset", message.getQueueOffset())
        .put("key", message.getKeys())
        .put("tag", message.getTags())
        .put("times", message.getReconsumeTimes())
        .put("bornMs", message.getBornTimestamp())
        .put("storedMs", message.getStoreTimestamp())
        .say();
  }
}
