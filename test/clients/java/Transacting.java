import java.nio.charset.StandardCharsets;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.client.producer.TransactionSendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** A producer of transactions, of which some stay open. */
final class Transacting {
  private static final LocalTransactionState[] OUTCOMES = {
    LocalTransactionState.COMMIT_MESSAGE,
    LocalTransactionState.ROLLBACK_MESSAGE,
    LocalTransactionState.UNKNOW,
  };

  private Transacting() {}

  /** `count` transactions: every third is committed, the next rolled back, the next left open. */
  static void transact(
      String nameServer, ClientDriver.Arguments arguments, ClientDriver.Line answer)
      throws Exception {
    TransactionMQProducer producer = new TransactionMQProducer(arguments.text("group"));
    producer.setNamesrvAddr(nameServer);
    producer.setInstanceName("transactions-" + arguments.text("group"));
    producer.setHeartbeatBrokerInterval(1000);
    producer.setTransactionListener(
        new TransactionListener() {
          @Override
          public LocalTransactionState executeLocalTransaction(Message message, Object index) {
            return OUTCOMES[(Integer) index % OUTCOMES.length];
          }

          @Override
          public LocalTransactionState checkLocalTransaction(MessageExt message) {
            return LocalTransactionState.UNKNOW;
          }
        });
    producer.start();
    int committed = 0;
    for (int i = 0; i < arguments.number("count", 0); i++) {
      String key = arguments.text("prefix") + "-" + i;
      byte[] body = (key + " in a transaction").getBytes(StandardCharsets.UTF_8);
      Message message = new Message(arguments.text("topic"), "T", key, body);
      TransactionSendResult result = producer.sendMessageInTransaction(message, i);
      if (result.getLocalTransactionState() == LocalTransactionState.COMMIT_MESSAGE) committed++;
    }
    producer.shutdown();
    answer.put("committed", committed);
  }
}
