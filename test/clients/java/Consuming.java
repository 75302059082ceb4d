import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;

/** Push consumers; each member is a client of its own, with its own connections. */
final class Consuming {
  private static final int PERSIST_MS = 200;

  final String nameServer;
  private final ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor();
  private final ConcurrentHashMap<String, DefaultMQPushConsumer> members =
      new ConcurrentHashMap<>();

  Consuming(String nameServer) {
    this.nameServer = nameServer;
  }

  void join(ClientDriver.Arguments arguments) throws Exception {
    String member = arguments.text("member");
    DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(arguments.text("group"));
    consumer.setNamesrvAddr(nameServer);
    consumer.setInstanceName(member);
    consumer.setPollNameServerInterval(1000);
    consumer.setHeartbeatBrokerInterval(1000);
    consumer.setPersistConsumerOffsetInterval(1000);
    consumer.setConsumeThreadMin(4);
    consumer.setConsumeThreadMax(4);
    consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
    consumer.setMaxReconsumeTimes(arguments.number("maxReconsumeTimes", -1));
    consumer.setSuspendCurrentQueueTimeMillis(20);
    if (arguments.flag("broadcast")) broadcast(consumer);
    consumer.subscribe(arguments.text("topic"), arguments.text("tags", "*"));
    int failures = arguments.number("failures", 0);
    if (arguments.flag("orderly")) {
      consumer.registerMessageListener(orderly(member, failures));
    } else {
      consumer.registerMessageListener(concurrently(member, failures));
    }
    consumer.start();
    members.put(member, consumer);
    // The client's own timer starts only after 10 s.
    timer.scheduleAtFixedRate(
        () -> consumer.getDefaultMQPushConsumerImpl().persistConsumerOffset(),
        PERSIST_MS,
        PERSIST_MS,
        TimeUnit.MILLISECONDS);
  }

  void leave(ClientDriver.Arguments arguments) {
    members.remove(arguments.text("member")).shutdown();
  }

  private static MessageListenerConcurrently concurrently(String member, int failures) {
    return (messages, context) -> {
      int queue = context.getMessageQueue().getQueueId();
      boolean ok = take(member, context.getMessageQueue().getTopic(), queue, messages, failures);
      return ok ? ConsumeConcurrentlyStatus.CONSUME_SUCCESS
          : ConsumeConcurrentlyStatus.RECONSUME_LATER;
    };
  }

  private static MessageListenerOrderly orderly(String member, int failures) {
    return (messages, context) -> {
      int queue = context.getMessageQueue().getQueueId();
      boolean ok = take(member, context.getMessageQueue().getTopic(), queue, messages, failures);
      return ok ? ConsumeOrderlyStatus.SUCCESS
          : ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT;
    };
  }

  /** False when the message is to be failed: its first `failures` deliveries are. */
  private static boolean take(
      String member, String topic, int queue, List<MessageExt> messages, int failures) {
    boolean ok = true;
    for (MessageExt message : messages) {
      String body = new String(message.getBody(), StandardCharsets.UTF_8);
      new ClientDriver.Line()
          .put("event", "got")
          .put("member", member)
          .put("topic", message.getTopic())
          .put("from", topic)
          .put("queue", queue)
          .put("offset", message.getQueueOffset())
          .put("key", message.getKeys())
          .put("body", body.split(" ")[0])
          .put("tag", message.getTags())
          .put("times", message.getReconsumeTimes())
          .put("bornMs", message.getBornTimestamp())
          .put("storedMs", message.getStoreTimestamp())
          .say();
      ok &= message.getReconsumeTimes() >= failures;
    }
    return ok;
  }

  /** The class of the parameter has another package in each version of the client. */
  @SuppressWarnings({"unchecked", "rawtypes"})
  private static void broadcast(DefaultMQPushConsumer consumer) throws Exception {
    for (Method method : consumer.getClass().getMethods()) {
      if (!method.getName().equals("setMessageModel")) continue;
      Class model = method.getParameterTypes()[0];
      method.invoke(consumer, Enum.valueOf(model, "BROADCASTING"));
    }
  }
}
