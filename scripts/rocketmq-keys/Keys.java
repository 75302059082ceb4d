import java.lang.reflect.*;
import java.util.*;
public class Keys {
  public static void main(String[] a) throws Exception {
    String[] names = {
      "BrokerConfig:org.apache.rocketmq.common.BrokerConfig",
      "MessageStoreConfig:org.apache.rocketmq.store.config.MessageStoreConfig",
      "NettyServerConfig:org.apache.rocketmq.remoting.netty.NettyServerConfig",
      "NettyClientConfig:org.apache.rocketmq.remoting.netty.NettyClientConfig",
      "NamesrvConfig:org.apache.rocketmq.common.namesrv.NamesrvConfig",
      "AuthConfig:org.apache.rocketmq.auth.config.AuthConfig",
      "ControllerConfig:org.apache.rocketmq.common.ControllerConfig"};
    for (String n : names) {
      String[] p = n.split(":");
      Class<?> c;
      try { c = Class.forName(p[1]); } catch (Throwable t) { System.out.println("# missing " + p[1]); continue; }
      Object o = null;
      try { o = c.getDeclaredConstructor().newInstance(); } catch (Throwable t) {}
      for (Method m : c.getMethods()) {
        String mn = m.getName();
        if (!mn.startsWith("set") || mn.length() < 4 || m.getParameterCount() != 1 || Modifier.isStatic(m.getModifiers())) continue;
        String t = m.getParameterTypes()[0].getSimpleName();
        String k = mn.substring(3,4).toLowerCase() + mn.substring(4);
        if (!t.matches("int|long|double|boolean|float|String|Integer|Long|Boolean|Double")) { System.out.println("# " + p[0] + " " + k + " " + t); continue; }
        Object v = null;
        for (String g : new String[]{"get","is"}) { try { v = c.getMethod(g + mn.substring(3)).invoke(o); break; } catch (Throwable e) {} }
        System.out.println(p[0] + " " + k + " " + t + " " + v);
      }
    }
  }
}
